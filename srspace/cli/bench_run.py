"""``srspace bench run``."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from srspace.cli import completion, options
from srspace.cli.completion import complete, complete_list
from srspace.cli.failures import EXIT_FAILED, EXIT_OK, in_words
from srspace.cli.options import IO, SAMPLING, argument, flag, option, takes
from srspace.config import DEFAULT_WEIGHTS, SamplingConfig
from srspace.errors import UsageError

if TYPE_CHECKING:
    from srspace.benchmark import Results, Settings

STDOUT = "-"
MEASURED = "What is measured"


@dataclass(frozen=True)
class Options:
    """What ``srspace bench run`` is told."""

    dataset: Annotated[
        str,
        argument(
            "DATASET", autocompletion=complete(completion.datasets),
            help="A name of 'srspace data list', or a folder of HR (and LR) images.",
        ),
    ]  # fmt: skip
    rows: Annotated[
        str,
        option(
            "--rows", panel=MEASURED, metavar="LIST", autocompletion=complete_list(completion.rows),
            help="Methods, separated by commas: bicubic or a mode, followed by :N for the number of candidates, @TAU "
            "for their temperature and +PARAMETER=VALUE for a parameter of the mode; 'paper' stands for the rows of "
            "Table 1.",
        ),
    ] = "paper"  # fmt: skip
    compare: Annotated[
        list[Path] | None,
        option(
            "--compare", panel=MEASURED, metavar="FILE",
            help="Also measure another model, loaded by spandrel; may be repeated.",
        ),
    ] = None  # fmt: skip
    metrics: Annotated[
        str,
        option(
            "--metrics", panel=MEASURED, metavar="LIST", autocompletion=complete_list(completion.metrics),
            help="Columns, separated by commas, such as psnr,lpips,dists.",
        ),
    ] = "all"  # fmt: skip
    protocol: Annotated[
        str,
        option(
            "--protocol", panel=MEASURED, metavar="NAME", autocompletion=complete(completion.protocols),
            help="paper (RGB, no border cut) or y-channel (Y, border cut).",
        ),
    ] = "paper"  # fmt: skip
    lpips_net: Annotated[
        str,
        option(
            "--lpips-net", panel=MEASURED, metavar="NAME", autocompletion=complete(completion.backbones),
            help="Backbone of LPIPS: vgg (the paper's), alex or squeeze.",
        ),
    ] = "vgg"  # fmt: skip
    limit: Annotated[
        int | None, option("--limit", panel=MEASURED, metavar="N", help="Measure the first N images only.", min=1)
    ] = None
    scale: options.Scale = 4
    lr: Annotated[
        Path | None,
        option("--lr", panel=IO, metavar="DIR", help="Folder of the LR images.", default="made by MATLAB's bicubic"),
    ] = None
    data_root: options.DataRoot = None
    records: Annotated[
        Path | None,
        option(
            "--records", panel=IO, metavar="FILE", help="Scores of every image, from which a run is resumed.",
            default="in the cache",
        ),
    ] = None  # fmt: skip
    fresh: Annotated[bool, flag("--fresh", panel=IO, help="Measure again what is recorded.")] = False
    as_json: Annotated[bool, flag("--json", panel=IO, help="Print means and records as one JSON object.")] = False
    json_path: Annotated[
        Path | None,
        option("--save-json", panel=IO, metavar="FILE", help="Save the same, for 'srspace bench compare'."),
    ] = None
    csv_path: Annotated[
        str | None,
        option("--csv", panel=IO, metavar="FILE", help="Write the means as CSV; - for standard output."),
    ] = None
    markdown_path: Annotated[
        str | None,
        option("--markdown", panel=IO, metavar="FILE", help="Write the table as Markdown; - for standard output."),
    ] = None
    plot: Annotated[
        Path | None,
        option(
            "--plot", panel=IO, metavar="FILE",
            help="Draw the perception-distortion plane, without bicubic (png, pdf, svg).",
        ),
    ] = None  # fmt: skip
    report_path: Annotated[
        Path | None,
        option(
            "--report", panel=IO, metavar="FILE",
            help="Write an HTML page: the table with confidence intervals, the plane, and the best and worst pictures, "
            "which are made again.",
        ),
    ] = None  # fmt: skip
    quiet: options.NoProgress = False
    samples: Annotated[
        int,
        option(
            "--samples", "-n", panel=SAMPLING, metavar="N",
            help="Candidates over which a row of single candidates is averaged.",
        ),
    ] = 10  # fmt: skip
    tau: Annotated[
        float, option("--tau", "-t", panel=SAMPLING, metavar="NUMBER", help="Temperature where a row names none.")
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
        for path in (*map(Path, outputs.values()), *filter(None, [self.report_path])):
            if path.is_dir():
                raise UsageError(f"{path} is a folder; name a file.")
        return outputs


@takes(Options)
def run(options: Options) -> int:
    """Measure methods on a data set and print the table.

    Every score is recorded. An interrupted run continues where it stopped, and a finished one answers at once.
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
        if options.report_path is not None:
            from srspace.report.summary import examples

            pictures = examples(images, settings, results, progress=report)
    _write(results, outputs)
    if options.report_path is not None:
        from srspace.files import write_bytes
        from srspace.report.summary import to_html

        write_bytes(options.report_path, to_html(results, pictures).encode())
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
