"""``srspace bench speed``."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Annotated

import typer

from srspace import modes
from srspace.cli.failures import EXIT_OK
from srspace.config import DEFAULT_WEIGHTS, SamplingConfig, parse_memory
from srspace.errors import UsageError

if TYPE_CHECKING:
    from srspace.benchmark.speed import SpeedReport
    from srspace.upscaler import Upscaler

PUBLISHED = "published"
DEVICE = "Device"


def _modes() -> list[str]:
    return list(modes.every())


def speed(
    weights: Annotated[
        str,
        typer.Option(
            "--weights",
            "-w",
            help=f"Catalogue name, folder or hf://owner/repo@revision; or '{PUBLISHED}': random weights of the "
            "published network's sizes.",
        ),
    ] = DEFAULT_WEIGHTS,
    size: Annotated[str, typer.Option("--size", help="Height x width of the input.")] = "128x128",
    mode: Annotated[
        str, typer.Option("--mode", "-m", help="What is made of the candidates.", autocompletion=_modes)
    ] = modes.DEFAULT,
    samples: Annotated[int, typer.Option("--samples", "-n", help="N, the number of candidates.")] = 25,
    repeats: Annotated[int, typer.Option(min=1, help="Runs of which the median is taken.")] = 5,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.", rich_help_panel=DEVICE)] = "auto",
    precision: Annotated[str, typer.Option(help="auto, fp32, bf16 or fp16.", rich_help_panel=DEVICE)] = "auto",
    tile: Annotated[
        int | None,
        typer.Option(help="Tile side in input pixels; 0 never tiles (else from memory).", rich_help_panel=DEVICE),
    ] = None,
    max_memory: Annotated[
        str | None, typer.Option("--max-memory", help="Memory on the device, e.g. 4G.", rich_help_panel=DEVICE)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> int:
    """Time N candidates of one picture, with encoder, checks and merging, beside what the device can do."""
    from srspace.cli.output import console

    height, width = parse_size(size)
    limit = None if max_memory is None else parse_memory(max_memory)
    sampling = SamplingConfig(samples=samples, tile=tile, max_memory=limit)
    modes.find(mode)
    from srspace.benchmark.speed import SpeedSettings, measure

    settings = SpeedSettings(height, width, mode, samples, sampling, repeats)
    upscaler = _load(weights, mode, device, precision)
    screen = console()
    with screen.status("") as status:
        report = measure(upscaler, settings, name=weights, report=status.update)
    print(json.dumps(report.to_dict()) if as_json else table(report))
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


def _load(weights: str, mode: str, device: str, precision: str) -> Upscaler:
    from srspace.upscaler import Upscaler

    if weights != PUBLISHED:
        return Upscaler.load(weights, modes=[mode], device=device, precision=precision)
    from srspace.benchmark.synthetic import PUBLISHED as SIZES
    from srspace.benchmark.synthetic import random_model

    return Upscaler(random_model(*SIZES), device=device, precision=precision)
