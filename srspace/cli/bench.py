"""``srspace bench``."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from srspace import modes
from srspace.cli import options
from srspace.cli.default_group import DefaultGroup
from srspace.cli.failures import EXIT_FAILED, EXIT_OK, in_words
from srspace.cli.options import IO, SAMPLING, flag, option, takes
from srspace.config import DEFAULT_WEIGHTS, SamplingConfig
from srspace.errors import UsageError

if TYPE_CHECKING:
    from srspace.benchmark import Results, Settings

STDOUT = "-"
MEASURED = "What is measured"

app = typer.Typer(
    cls=DefaultGroup,
    no_args_is_help=True,
    subcommand_metavar="DATASET | COMMAND ...",
    help="Measure methods on a data set: 'srspace bench DATASET' is short for 'srspace bench run DATASET'.",
)


def _complete(names: Callable[[], list[str]]) -> Callable[[str], list[str]]:
    return lambda incomplete: [name for name in names() if name.startswith(incomplete)]


def _metrics() -> list[str]:
    from srspace.metrics import every

    return list(every())


def _protocols() -> list[str]:
    from srspace.benchmark import PROTOCOLS

    return list(PROTOCOLS)


def _backbones() -> list[str]:
    from srspace.metrics import LPIPS_NETS

    return list(LPIPS_NETS)


@dataclass(frozen=True)
class Options:
    """What ``srspace bench run`` is told."""

    dataset: Annotated[
        str, typer.Argument(metavar="DATASET", help="A name of 'srspace data list', or a folder of HR (and LR) images.")
    ]
    rows: Annotated[
        str,
        option(
            "--rows", panel=MEASURED, metavar="LIST",
            help="Methods, separated by commas: bicubic or a mode, then :N for the number of candidates, @TAU for "
            "their temperature, +PARAMETER=VALUE for a parameter of the mode; or 'paper' for the rows of Table 1.",
        ),
    ] = "paper"  # fmt: skip
    compare: Annotated[
        list[Path] | None,
        option("--compare", panel=MEASURED, metavar="FILE", help="Another model, by spandrel. Repeatable."),
    ] = None
    metrics: Annotated[
        str,
        option(
            "--metrics", panel=MEASURED, metavar="LIST", autocompletion=_complete(_metrics),
            help="Columns, separated by commas, such as psnr,lpips,dists.",
        ),
    ] = "all"  # fmt: skip
    protocol: Annotated[
        str,
        option(
            "--protocol", panel=MEASURED, metavar="NAME", autocompletion=_complete(_protocols),
            help="paper (RGB, no border cut) or y-channel (Y, border cut).",
        ),
    ] = "paper"  # fmt: skip
    lpips_net: Annotated[
        str,
        option(
            "--lpips-net", panel=MEASURED, metavar="NAME", autocompletion=_complete(_backbones),
            help="vgg (the paper's), alex or squeeze.",
        ),
    ] = "vgg"  # fmt: skip
    limit: Annotated[
        int | None, option("--limit", panel=MEASURED, metavar="N", help="Only the first so many images.", min=1)
    ] = None
    scale: Annotated[
        int, option("--scale", panel=MEASURED, metavar="N", help="HR is so many times as large as LR.", min=2)
    ] = 4
    lr: Annotated[
        Path | None,
        option(
            "--lr", panel=IO, metavar="DIR", help="Folder of the LR images.", default="made by MATLAB-exact bicubic"
        ),
    ] = None  # fmt: skip
    data_root: Annotated[
        Path | None,
        option(
            "--data-root", panel=IO, metavar="DIR", help="Where data sets are kept.",
            default="$SRSPACE_DATA or the cache",
        ),
    ] = None  # fmt: skip
    records: Annotated[
        Path | None,
        option("--records", panel=IO, metavar="FILE", help="Scores per image, for resuming.", default="in the cache"),
    ] = None
    fresh: Annotated[bool, flag("--fresh", panel=IO, help="Measure again what is recorded.")] = False
    as_json: Annotated[bool, flag("--json", panel=IO, help="Print means and per-image records as JSON.")] = False
    json_path: Annotated[
        Path | None,
        option("--save-json", panel=IO, metavar="FILE", help="Write the same to a file, for 'bench compare'."),
    ] = None
    csv_path: Annotated[
        str | None, option("--csv", panel=IO, metavar="FILE", help="Write the means; - for stdout.")
    ] = None
    markdown_path: Annotated[
        str | None, option("--markdown", panel=IO, metavar="FILE", help="Write the table; - for stdout.")
    ] = None
    plot: Annotated[
        Path | None,
        option(
            "--plot", panel=IO, metavar="FILE",
            help="Draw the perception-distortion plane, without bicubic (png, pdf, svg).",
        ),
    ] = None  # fmt: skip
    quiet: Annotated[bool, flag("--quiet", "-q", panel=IO, help="No progress.")] = False
    samples: Annotated[
        int,
        option(
            "--samples", "-n", panel=SAMPLING, metavar="N",
            help="Candidates that a row of single candidates is averaged over.",
        ),
    ] = 10  # fmt: skip
    tau: Annotated[
        float, option("--tau", "-t", panel=SAMPLING, metavar="NUMBER", help="Temperature of rows that name none.")
    ] = SamplingConfig.temperature
    seed: options.Seed = SamplingConfig.seed
    device: options.Device = "auto"
    precision: options.Precision = "auto"
    tile: options.Tile = None
    weights: options.Weights = DEFAULT_WEIGHTS

    def settings(self) -> Settings:
        """What is to be measured, as the library takes it."""
        from srspace.benchmark import Settings, external_rows, parse_rows
        from srspace.benchmark.protocol import find_protocol
        from srspace.metrics import parse

        rows = parse_rows(self.rows, temperature=self.tau, scored=self.samples)
        return Settings(
            rows=(*rows, *external_rows(self.compare or [])),
            metrics=tuple(parse(self.metrics)),
            protocol=find_protocol(self.protocol),
            lpips_net=self.lpips_net,
            weights=self.weights,
            seed=self.seed,
            device=self.device,
            precision=self.precision,
            tile=self.tile,
        )

    def outputs(self) -> dict[str, str]:
        """Where results go, by kind; ``-`` stands for standard output.

        Raises:
            UsageError: two of them would go there, or one is a folder.
        """
        json_path = None if self.json_path is None else str(self.json_path)
        named = {"json": json_path, "csv": self.csv_path, "markdown": self.markdown_path}
        outputs = {kind: path for kind, path in named.items() if path is not None}
        if outputs.get("json") == STDOUT:
            raise UsageError("--save-json names a file; --json prints on standard output.")
        if list(outputs.values()).count(STDOUT) + self.as_json > 1:
            raise UsageError("only one of --json, --csv - and --markdown - can go to standard output.")
        for path in outputs.values():
            if Path(path).is_dir():
                raise UsageError(f"{path} is a folder; name a file.")
        return outputs


@app.command("run")
@takes(Options)
def run(options: Options) -> int:
    """Measure, print the table, keep every score.

    An interrupted run goes on where it stopped; a finished one answers from its records.
    """
    from srspace.cli.bench_tables import print_table
    from srspace.cli.output import message, named_progress, print_json

    outputs = options.outputs()
    if options.plot is not None:
        from srspace.report.plot import check_plot_path

        check_plot_path(options.plot)
    settings = options.settings()
    from srspace.benchmark import Benchmark, RecordFile
    from srspace.data.datasets import cache_home, open_dataset

    with named_progress(quiet=options.quiet) as report:
        images = open_dataset(
            options.dataset, scale=options.scale, root=options.data_root, lr_folder=options.lr, progress=report
        )
        records = RecordFile(options.records or cache_home() / "bench" / f"{images.name}.jsonl", fresh=options.fresh)
        results = Benchmark(images, settings, records, progress=report, words=in_words).run(options.limit)
    _write(results, outputs)
    if options.plot is not None:
        from srspace.report.plot import save_plot

        save_plot(results, options.plot)
    if options.as_json:
        print_json(results.to_json())
    elif STDOUT not in outputs.values():
        print_table(results)
    for failure in results.failures.values():
        message(f"srspace: {failure}")
    if not options.quiet:
        message(f"records: {records.path}")
    return EXIT_FAILED if results.failures else EXIT_OK


@app.command("compare")
def compare_results(
    a: Annotated[Path, typer.Argument(metavar="A", help="What 'srspace bench DATASET --save-json A.json' wrote.")],
    b: Annotated[Path, typer.Argument(metavar="B", help="The same of the other; it may be the same file.")],
    row_a: Annotated[
        str | None,
        option(
            "--row-a", metavar="ROW", help=f"Compare this row of A, such as {modes.DEFAULT}:5.", default="all in common"
        ),
    ] = None,
    row_b: Annotated[
        str | None, option("--row-b", metavar="ROW", help="With this row of B.", default="the same")
    ] = None,
    confidence: Annotated[
        float, option("--confidence", metavar="NUMBER", help="Coverage of the intervals, between 0 and 1.")
    ] = 0.95,
    seed: Annotated[int, option("--seed", metavar="NUMBER", help="Seed of the bootstrap.")] = 0,
    as_json: options.AsJson = False,
) -> None:
    """Differences B - A over the same images, with paired bootstrap confidence intervals."""
    from srspace.benchmark import read_results
    from srspace.cli.bench_tables import print_differences
    from srspace.cli.output import print_json
    from srspace.report.comparison import compare

    first, second = read_results(a), read_results(b)
    found = compare(first, second, row_a=row_a, row_b=row_b, confidence=confidence, seed=seed)
    if as_json:
        for difference in found:
            print_json(difference.to_json())
        return
    print_differences(found, dict(first.rows) | dict(second.rows), confidence)


def _write(results: Results, outputs: dict[str, str]) -> None:
    from srspace.files import write_bytes
    from srspace.report.tables import to_csv, to_markdown

    for kind, path in outputs.items():
        if kind == "json":
            text = json.dumps(results.to_json(), ensure_ascii=False, allow_nan=False, indent=1) + "\n"
        else:
            text = to_csv(results) if kind == "csv" else to_markdown(results)
        if path == STDOUT:
            sys.stdout.write(text)
            sys.stdout.flush()
        else:
            write_bytes(Path(path), text.encode())
