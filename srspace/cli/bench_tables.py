"""A benchmark's table, and differences of two, as a terminal shows them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table as RichTable

    from srspace.benchmark import Results
    from srspace.report.comparison import Difference
    from srspace.report.tables import Table


def print_table(results: Results) -> None:
    """The table on stdout: best bold, second best underlined.

    Where a terminal is too narrow, columns that hold dashes only are left out; the notes name them still.
    """
    from rich.console import Console

    from srspace.report.tables import make_table, without_empty_columns

    table = make_table(results)
    screen = Console(highlight=False)
    if screen.is_terminal and _width(screen, _grid(table)) > screen.width:
        table = without_empty_columns(table)
    _print_whole(screen, _grid(table))
    for note in table.notes:
        screen.print(note, style="dim", soft_wrap=True, markup=False)


def _grid(table: Table) -> RichTable:
    from rich.table import Table as RichTable
    from rich.text import Text

    grid = RichTable(box=None, pad_edge=False, padding=(0, 1))
    for i, title in enumerate(table.headings):
        grid.add_column(title.replace(" ", "\n"), justify="left" if i == 0 else "right", no_wrap=True)
    styles = {0: "", 1: "bold", 2: "underline"}
    for label, cells in table.rows:
        grid.add_row(Text(label), *(Text.assemble((cell.text, styles[cell.rank])) for cell in cells))
    return grid


def _width(screen: Console, grid: RichTable) -> int:
    return grid.__rich_measure__(screen, screen.options.update(max_width=1000)).maximum


def _print_whole(screen: Console, grid: RichTable) -> None:
    """Print at full width: a line that runs over is better than a number cut short."""
    screen.width = max(screen.width, _width(screen, grid))
    screen.print(grid)


def print_differences(found: list[Difference], labels: dict[str, str], confidence: float) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from srspace.metrics import describe
    from srspace.report.tables import DASH, shown

    grid = Table(box=None, pad_edge=False, padding=(0, 1))
    for title in ("row", "metric", "A", "B", "B - A", f"{100 * confidence:g} % interval", "images", "better"):
        grid.add_column(title, justify="left" if title in ("row", "metric", "better") else "right", no_wrap=True)
    for d in found:
        metric = describe(d.metric)
        digits = metric.decimals + 1
        label = labels[d.row_a] if d.row_a == d.row_b else f"{labels[d.row_a]} / {labels[d.row_b]}"
        interval = DASH if d.low is None or d.high is None else f"[{d.low:+.{digits}f}, {d.high:+.{digits}f}]"
        better = (d.better or DASH).upper()
        cells = [metric.title, shown(d.a, digits), shown(d.b, digits), f"{d.difference:+.{digits}f}"]
        grid.add_row(label, *cells, Text(interval), str(d.images), Text(better, style="bold" if d.better else ""))
    screen = Console(highlight=False)
    _print_whole(screen, grid)
    screen.print("better: where the interval leaves out 0", style="dim")
