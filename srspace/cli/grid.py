"""``--grid``: crops of one picture in every mode, side by side."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from srspace.cli.options import IO, option
from srspace.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from srspace.report.explore import ExploreSettings

Grid = Annotated[
    Path | None,
    option(
        "--grid", panel=IO, metavar="FILE",
        help="Also draw crops in every mode side by side, where candidates differ most (png, jpg, webp).",
    ),
]  # fmt: skip


def check_grid(grid: Path | None, inputs: list[str]) -> None:
    """Raise what is wrong with the option, before any work.

    Raises:
        UsageError: it is no picture's name, or there is not one input file.
    """
    if grid is None:
        return
    from srspace.report.grid import check_grid_path

    check_grid_path(grid)
    if len(inputs) != 1 or not Path(inputs[0]).is_file():
        raise UsageError("--grid shows one picture, so name one file.")


def write_grid(grid: Path, source: Path, settings: ExploreSettings, report: Callable[[str, float], None]) -> None:
    """Draw the grid of a picture and write it.

    Its candidates are drawn anew. Every mode would have to make its picture in the pass that makes the result, which
    would then be divided differently, and could fail for want of memory where it would not without a grid.
    """
    from srspace.images import read_picture
    from srspace.report.explore import gather, load_upscaler, settled
    from srspace.report.grid import save_grid

    report("exploring: loading weights", 0.0)
    picture = read_picture(source)
    settings = settled(settings, picture)
    save_grid(gather(picture, load_upscaler(settings), settings, name=source.name, progress=report), grid)
