"""``srspace bench``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from srspace.cli.default_group import DefaultGroup
from srspace.cli.failures import EXIT_FAILED, EXIT_OK
from srspace.config import DEFAULT_WEIGHTS, SamplingConfig
from srspace.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table as RichTable

    from srspace.benchmark import Results
    from srspace.report.comparison import Difference
    from srspace.report.tables import Table

STDOUT = "-"

app = typer.Typer(
    cls=DefaultGroup,
    no_args_is_help=True,
    subcommand_metavar="DATASET | COMMAND ...",
    help="Measure methods on a data set: 'srspace bench DATASET' is short for 'srspace bench run DATASET'.",
)


@app.command("run")
def run(
    dataset: Annotated[
        str, typer.Argument(metavar="DATASET", help="A name of 'srspace data list', or a folder of HR (and LR) images.")
    ],
    lr: Annotated[
        Path | None, typer.Option("--lr", help="Folder of the LR images (else made by MATLAB bicubic).")
    ] = None,
    data_root: Annotated[
        Path | None, typer.Option("--data-root", help="Where data sets are kept (else $SRSPACE_DATA or the cache).")
    ] = None,
    rows: Annotated[
        str,
        typer.Option(help="KIND, KIND:N, KIND@TAU or KIND:N@TAU, separated by commas; 'paper' for those of Table 1."),
    ] = "paper",
    compare: Annotated[
        list[Path] | None, typer.Option("--compare", help="Another model's file, by spandrel. Repeatable.")
    ] = None,
    metrics: Annotated[str, typer.Option(help="Columns, separated by commas.")] = "all",
    protocol: Annotated[str, typer.Option(help="paper (RGB, no border cut) or y-channel (Y, border cut).")] = "paper",
    lpips_net: Annotated[str, typer.Option("--lpips-net", help="vgg (the paper's), alex or squeeze.")] = "vgg",
    weights: Annotated[
        str, typer.Option("--weights", "-w", help="Catalogue name, folder or hf://owner/repo@revision.")
    ] = DEFAULT_WEIGHTS,
    tau: Annotated[
        float, typer.Option("--tau", "-t", help="Temperature of rows that name none.")
    ] = SamplingConfig.temperature,
    candidates: Annotated[int, typer.Option(help="Candidates scored by a sample row.")] = 10,
    seed: Annotated[int, typer.Option(help="Seed of the candidates.")] = 0,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first so many images.")] = None,
    scale: Annotated[int, typer.Option(min=2, help="HR is so many times as large as LR.")] = 4,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")] = "auto",
    precision: Annotated[str, typer.Option(help="auto, fp32, bf16 or fp16.")] = "auto",
    tile: Annotated[int | None, typer.Option(help="Tile side in LR pixels; 0 never tiles (else from memory).")] = None,
    records: Annotated[
        Path | None, typer.Option(help="File of the scores per image, for resuming (else in the cache).")
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Measure again what is recorded.")] = False,
    json_path: Annotated[
        str | None, typer.Option("--json", help="Write means and per-image records; - for stdout.")
    ] = None,
    csv_path: Annotated[str | None, typer.Option("--csv", help="Write the means; - for stdout.")] = None,
    markdown_path: Annotated[str | None, typer.Option("--markdown", help="Write the table; - for stdout.")] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Draw the perception-distortion plane, without bicubic (png, pdf, svg).")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
) -> int:
    """Measure, print the table, keep every score.

    An interrupted run goes on where it stopped; a finished one answers from its records.
    """
    from srspace.benchmark.protocol import find_protocol
    from srspace.benchmark.rows import external_rows, parse_rows
    from srspace.benchmark.scoring import parse_metrics
    from srspace.cli.output import message, named_progress

    outputs = _check_outputs(json_path, csv_path, markdown_path)
    if plot is not None:
        from srspace.report.plot import check_plot_path

        check_plot_path(plot)
    chosen = [*parse_rows(rows, temperature=tau, scored=candidates), *external_rows(compare or [])]
    columns, rules = parse_metrics(metrics), find_protocol(protocol)
    from srspace.benchmark import Benchmark, RecordFile, Settings
    from srspace.data.datasets import cache_home, open_dataset

    settings = Settings(
        rows=tuple(chosen),
        metrics=tuple(columns),
        protocol=rules,
        lpips_net=lpips_net,
        weights=weights,
        seed=seed,
        device=device,
        precision=precision,
        tile=tile,
    )
    with named_progress(quiet=quiet) as report:
        images = open_dataset(dataset, scale=scale, root=data_root, lr_folder=lr, progress=report)
        path = records or cache_home() / "bench" / f"{images.name}.jsonl"
        results = Benchmark(images, settings, RecordFile(path, fresh=fresh), progress=report).run(limit)
    _write(results, outputs)
    if plot is not None:
        from srspace.report.plot import save_plot

        save_plot(results, plot)
    if STDOUT not in outputs.values():
        print_table(results)
    for failure in results.failures.values():
        message(f"srspace: {failure}")
    if not quiet:
        message(f"records: {path}")
    return EXIT_FAILED if results.failures else EXIT_OK


@app.command("compare")
def compare_results(
    a: Annotated[Path, typer.Argument(help="What 'srspace bench DATASET --json A.json' wrote.")],
    b: Annotated[Path, typer.Argument(help="The same of the other; it may be the same file.")],
    row_a: Annotated[
        str | None, typer.Option("--row-a", help="Compare this row of A, such as mean:5 (else all in common).")
    ] = None,
    row_b: Annotated[str | None, typer.Option("--row-b", help="With this row of B (else the same).")] = None,
    confidence: Annotated[float, typer.Option(help="Coverage of the intervals.")] = 0.95,
    seed: Annotated[int, typer.Option(help="Seed of the bootstrap.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per difference.")] = False,
) -> None:
    """Differences B - A over the same images, with paired bootstrap confidence intervals."""
    from srspace.benchmark import read_results
    from srspace.cli.output import print_json
    from srspace.report.comparison import compare

    first, second = read_results(a), read_results(b)
    found = compare(first, second, row_a=row_a, row_b=row_b, confidence=confidence, seed=seed)
    if as_json:
        for difference in found:
            print_json(difference.to_json())
        return
    _print_differences(found, dict(first.rows) | dict(second.rows), confidence)


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


def _print_differences(found: list[Difference], labels: dict[str, str], confidence: float) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from srspace.metrics import METRICS
    from srspace.report.tables import DASH, shown

    grid = Table(box=None, pad_edge=False, padding=(0, 1))
    for title in ("row", "metric", "A", "B", "B - A", f"{100 * confidence:g} % interval", "images", "better"):
        grid.add_column(title, justify="left" if title in ("row", "metric", "better") else "right", no_wrap=True)
    for d in found:
        digits = METRICS[d.metric].decimals + 1
        label = labels[d.row_a] if d.row_a == d.row_b else f"{labels[d.row_a]} / {labels[d.row_b]}"
        interval = DASH if d.low is None or d.high is None else f"[{d.low:+.{digits}f}, {d.high:+.{digits}f}]"
        better = (d.better or DASH).upper()
        cells = [METRICS[d.metric].title, shown(d.a, digits), shown(d.b, digits), f"{d.difference:+.{digits}f}"]
        grid.add_row(label, *cells, Text(interval), str(d.images), Text(better, style="bold" if d.better else ""))
    screen = Console(highlight=False)
    _print_whole(screen, grid)
    screen.print("better: where the interval leaves out 0", style="dim")


def _check_outputs(json_path: str | None, csv_path: str | None, markdown_path: str | None) -> dict[str, str]:
    named = {"json": json_path, "csv": csv_path, "markdown": markdown_path}
    outputs = {kind: path for kind, path in named.items() if path is not None}
    if list(outputs.values()).count(STDOUT) > 1:
        raise UsageError("only one of --json, --csv and --markdown can go to standard output.")
    for path in outputs.values():
        if Path(path).is_dir():
            raise UsageError(f"{path} is a folder; name a file.")
    return outputs


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
