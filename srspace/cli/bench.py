"""``srspace bench``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from srspace import modes
from srspace.cli.default_group import DefaultGroup
from srspace.cli.failures import EXIT_FAILED, EXIT_OK
from srspace.config import DEFAULT_WEIGHTS, SamplingConfig
from srspace.errors import UsageError

if TYPE_CHECKING:
    from srspace.benchmark import Results

STDOUT = "-"
SAMPLING = "Sampling"
DEVICE = "Device"
OUTPUT = "Output"

app = typer.Typer(
    cls=DefaultGroup,
    no_args_is_help=True,
    subcommand_metavar="DATASET | COMMAND ...",
    help="Measure methods on a data set: 'srspace bench DATASET' is short for 'srspace bench run DATASET'.",
)


def _protocols() -> list[str]:
    from srspace.benchmark import PROTOCOLS

    return list(PROTOCOLS)


def _backbones() -> list[str]:
    from srspace.metrics import LPIPS_NETS

    return list(LPIPS_NETS)


def _metrics() -> list[str]:
    from srspace.metrics import every

    return list(every())


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
        typer.Option(
            help="Methods, separated by commas: bicubic or a mode, then :N for the number of candidates, @TAU for "
            "their temperature, +PARAMETER=VALUE for a parameter of the mode; or 'paper' for the rows of Table 1."
        ),
    ] = "paper",
    compare: Annotated[
        list[Path] | None, typer.Option("--compare", help="Another model's file, by spandrel. Repeatable.")
    ] = None,
    metrics: Annotated[
        str, typer.Option(help="Columns, separated by commas, such as psnr,lpips,dists.", autocompletion=_metrics)
    ] = "all",
    protocol: Annotated[
        str,
        typer.Option(help="paper (RGB, no border cut) or y-channel (Y, border cut).", autocompletion=_protocols),
    ] = "paper",
    lpips_net: Annotated[
        str, typer.Option("--lpips-net", help="vgg (the paper's), alex or squeeze.", autocompletion=_backbones)
    ] = "vgg",
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first so many images.")] = None,
    scale: Annotated[int, typer.Option(min=2, help="HR is so many times as large as LR.")] = 4,
    weights: Annotated[
        str,
        typer.Option(
            "--weights", "-w", help="Catalogue name, folder or hf://owner/repo@revision.", rich_help_panel=SAMPLING
        ),
    ] = DEFAULT_WEIGHTS,
    tau: Annotated[
        float, typer.Option("--tau", "-t", help="Temperature of rows that name none.", rich_help_panel=SAMPLING)
    ] = SamplingConfig.temperature,
    samples: Annotated[
        int,
        typer.Option(
            "--samples", "-n", help="Candidates that a row of single ones is averaged over.", rich_help_panel=SAMPLING
        ),
    ] = 10,
    seed: Annotated[int, typer.Option(help="Seed of the candidates.", rich_help_panel=SAMPLING)] = SamplingConfig.seed,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.", rich_help_panel=DEVICE)] = "auto",
    precision: Annotated[str, typer.Option(help="auto, fp32, bf16 or fp16.", rich_help_panel=DEVICE)] = "auto",
    tile: Annotated[
        int | None,
        typer.Option(help="Tile side in LR pixels; 0 never tiles (else from memory).", rich_help_panel=DEVICE),
    ] = None,
    records: Annotated[
        Path | None,
        typer.Option(help="File of the scores per image, for resuming (else in the cache).", rich_help_panel=OUTPUT),
    ] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Measure again what is recorded.", rich_help_panel=OUTPUT)
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Means and per-image records as JSON on stdout.", rich_help_panel=OUTPUT)
    ] = False,
    json_path: Annotated[
        Path | None,
        typer.Option("--save-json", help="Write the same to a file, for 'bench compare'.", rich_help_panel=OUTPUT),
    ] = None,
    csv_path: Annotated[
        str | None, typer.Option("--csv", help="Write the means; - for stdout.", rich_help_panel=OUTPUT)
    ] = None,
    markdown_path: Annotated[
        str | None, typer.Option("--markdown", help="Write the table; - for stdout.", rich_help_panel=OUTPUT)
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(
            help="Draw the perception-distortion plane, without bicubic (png, pdf, svg).", rich_help_panel=OUTPUT
        ),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.", rich_help_panel=OUTPUT)] = False,
) -> int:
    """Measure, print the table, keep every score.

    An interrupted run goes on where it stopped; a finished one answers from its records.
    """
    from srspace.benchmark import RecordFile, Settings, external_rows, parse_rows
    from srspace.benchmark.protocol import find_protocol
    from srspace.cli.bench_tables import print_table
    from srspace.cli.failures import in_words
    from srspace.cli.output import message, named_progress, print_json
    from srspace.metrics import parse

    named = {"csv": csv_path, "markdown": markdown_path, "json": None if json_path is None else str(json_path)}
    outputs = _check_outputs({kind: path for kind, path in named.items() if path is not None}, as_json)
    if plot is not None:
        from srspace.report.plot import check_plot_path

        check_plot_path(plot)
    settings = Settings(
        rows=(*parse_rows(rows, temperature=tau, scored=samples), *external_rows(compare or [])),
        metrics=tuple(parse(metrics)),
        protocol=find_protocol(protocol),
        lpips_net=lpips_net,
        weights=weights,
        seed=seed,
        device=device,
        precision=precision,
        tile=tile,
    )
    from srspace.benchmark import Benchmark
    from srspace.data.datasets import cache_home, open_dataset

    with named_progress(quiet=quiet) as report:
        images = open_dataset(dataset, scale=scale, root=data_root, lr_folder=lr, progress=report)
        path = records or cache_home() / "bench" / f"{images.name}.jsonl"
        benchmark = Benchmark(images, settings, RecordFile(path, fresh=fresh), progress=report, words=in_words)
        results = benchmark.run(limit)
    _write(results, outputs)
    if plot is not None:
        from srspace.report.plot import save_plot

        save_plot(results, plot)
    if as_json:
        print_json(results.to_json())
    elif STDOUT not in outputs.values():
        print_table(results)
    for failure in results.failures.values():
        message(f"srspace: {failure}")
    if not quiet:
        message(f"records: {path}")
    return EXIT_FAILED if results.failures else EXIT_OK


@app.command("compare")
def compare_results(
    a: Annotated[Path, typer.Argument(help="What 'srspace bench DATASET --save-json A.json' wrote.")],
    b: Annotated[Path, typer.Argument(help="The same of the other; it may be the same file.")],
    row_a: Annotated[
        str | None,
        typer.Option("--row-a", help=f"Compare this row of A, such as {modes.DEFAULT}:5 (else all in common)."),
    ] = None,
    row_b: Annotated[str | None, typer.Option("--row-b", help="With this row of B (else the same).")] = None,
    confidence: Annotated[float, typer.Option(help="Coverage of the intervals.")] = 0.95,
    seed: Annotated[int, typer.Option(help="Seed of the bootstrap.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per difference.")] = False,
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


def _check_outputs(outputs: dict[str, str], as_json: bool) -> dict[str, str]:
    to_stdout = [path for kind, path in outputs.items() if path == STDOUT and kind != "json"]
    if len(to_stdout) + as_json > 1:
        raise UsageError("only one of --json, --csv - and --markdown - can go to standard output.")
    if outputs.get("json") == STDOUT:
        raise UsageError("--save-json names a file; --json prints on standard output.")
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
