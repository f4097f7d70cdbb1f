"""``srspace bench speed``."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from srspace import modes
from srspace.cli import completion, options
from srspace.cli.bench_run import MEASURED
from srspace.cli.failures import EXIT_OK
from srspace.cli.options import ADVANCED, IO, SAMPLING, flag, option, takes
from srspace.config import DEFAULT_WEIGHTS, SamplingConfig, parse_memory
from srspace.errors import UsageError

if TYPE_CHECKING:
    from srspace.benchmark.speed import SpeedReport
    from srspace.upscaler import Upscaler

PUBLISHED = "published"


@dataclass(frozen=True)
class Options:
    """What ``srspace bench speed`` is told."""

    size: Annotated[
        str, option("--size", panel=MEASURED, metavar="HxW", help="Height and width of the input, in pixels.")
    ] = "128x128"
    repeats: Annotated[
        int, option("--repeats", panel=MEASURED, metavar="N", help="Runs, of which the median counts.", min=1)
    ] = 5
    as_json: Annotated[bool, flag("--json", panel=IO, help="Print one JSON object.")] = False
    mode: options.Mode = modes.PLAIN
    samples: Annotated[int, option("--samples", "-n", panel=SAMPLING, metavar="N", help="Candidates per picture.")] = 25
    device: options.Device = "auto"
    precision: options.Precision = "auto"
    tile: options.Tile = None
    max_memory: options.MaxMemory = None
    weights: Annotated[
        str,
        option(
            "--weights", "-w", panel=ADVANCED, metavar="NAME", autocompletion=completion.weights("flow"),
            help="Weights of the flow: a name of 'srspace weights list', a folder, hf://owner/repo[@revision], or "
            f"'{PUBLISHED}': random ones of the published network's sizes.",
        ),
    ] = DEFAULT_WEIGHTS  # fmt: skip


@takes(Options)
def speed(options: Options) -> int:
    """Time one picture, without reading and writing it, and compare with what the device can do."""
    from srspace.cli.output import console

    height, width = parse_size(options.size)
    limit = None if options.max_memory is None else parse_memory(options.max_memory)
    sampling = SamplingConfig(samples=options.samples, tile=options.tile, max_memory=limit)
    modes.find(options.mode)
    from srspace.benchmark.speed import SpeedSettings, measure

    settings = SpeedSettings(height, width, options.mode, options.samples, sampling, options.repeats)
    upscaler = _load(options)
    screen = console()
    with screen.status("") as status:
        report = measure(upscaler, settings, name=options.weights, report=status.update)
    print(json.dumps(report.to_dict()) if options.as_json else table(report))
    return EXIT_OK


def parse_size(text: str) -> tuple[int, int]:
    """Height and width in ``"HxW"``.

    Raises:
        UsageError: it is not a size.
    """
    match = re.fullmatch(r"(\d+)\s*[xX*]\s*(\d+)", text.strip())
    if match is None or min(int(match[1]), int(match[2])) < 1:
        raise UsageError(f"a size looks like 128x128 (height x width), not {text!r}.")
    return int(match[1]), int(match[2])


def table(report: SpeedReport) -> str:
    """The report for people, a line per figure."""
    count, operations = report.samples, report.operations
    single = f"{report.single:.3f} s (N = {count} costs {report.seconds / report.single:.1f} times)"
    rates = f"{report.candidates_per_second:.1f} candidates/s, {report.megapixels_per_second:.2f} output megapixels/s"
    parts = (
        f"encoder {_tera(operations.encoder)}, shared {_tera(operations.shared)}, "
        f"{count} x {_tera(operations.candidate)}; sharing nothing {_tera(count * operations.naive)}"
    )
    rows = [
        ("model", f"{report.model}, {report.precision}"),
        ("mode", report.mode),
        ("device", f"{report.device}, torch {report.torch}"),
        ("picture", f"{report.width}x{report.height} out, {count} candidates, {report.chunk} at a time"),
        ("tiles", str(report.tiles)),
        ("time", f"{report.seconds:.3f} s ({rates})"),
        ("first run", f"{report.first:.3f} s, {report.kernels:.1f} s of compiling beside it"),
        ("one candidate", single),
        ("peak memory", f"{report.memory / 2**30:.2f} GiB"),
        ("multiply-adds", f"{_tera(operations.total(count))} T: {parts}"),
        ("share of peak", f"{100 * report.share_of_peak:.0f} % of {_tera(report.peak)} TFLOP/s in matrix products"),
    ]
    if report.redraws:
        rows.append(("redraws", str(report.redraws)))
    return "\n".join(f"{name:<14} {text}" for name, text in rows)


def _tera(count: float) -> str:
    return f"{count / 1e12:.3g}"


def _load(options: Options) -> Upscaler:
    from srspace.upscaler import Upscaler

    device, precision = options.device, options.precision
    if options.weights != PUBLISHED:
        return Upscaler.load(options.weights, modes=[options.mode], device=device, precision=precision)
    from srspace.benchmark.synthetic import PUBLISHED as SIZES
    from srspace.benchmark.synthetic import random_model

    return Upscaler(random_model(*SIZES), device=device, precision=precision)
