"""``srspace bench compare``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from srspace import modes
from srspace.cli import options
from srspace.cli.options import argument, option

COMPARED = "What is compared"


def compare(
    a: Annotated[Path, argument("A", help="Results saved by 'srspace bench DATASET --save-json A'.")],
    b: Annotated[Path, argument("B", help="Other results, or the same file again.")],
    row_a: Annotated[
        str | None,
        option(
            "--row-a", panel=COMPARED, metavar="ROW", help=f"Row of A, such as {modes.PLAIN}:5.",
            default="every row that both have",
        ),
    ] = None,
    row_b: Annotated[
        str | None, option("--row-b", panel=COMPARED, metavar="ROW", help="Row of B.", default="as --row-a")
    ] = None,
    confidence: Annotated[
        float,
        option("--confidence", panel=COMPARED, metavar="NUMBER", help="Coverage of the intervals, between 0 and 1."),
    ] = 0.95,
    seed: Annotated[int, option("--seed", panel=COMPARED, metavar="N", help="Seed of the bootstrap.")] = 0,
    as_json: options.AsJson = False,
) -> None:  # fmt: skip
    """Show the differences B - A over the same images, with confidence intervals (paired bootstrap)."""
    from srspace.benchmark import read_results
    from srspace.cli.bench_tables import print_differences
    from srspace.cli.output import print_json
    from srspace.report import comparison

    first, second = read_results(a), read_results(b)
    found = comparison.compare(first, second, row_a=row_a, row_b=row_b, confidence=confidence, seed=seed)
    if as_json:
        for difference in found:
            print_json(difference.to_json())
        return
    print_differences(found, dict(first.rows) | dict(second.rows), confidence)
