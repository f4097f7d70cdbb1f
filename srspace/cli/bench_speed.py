"""``srspace bench speed``."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Annotated

import typer

from srspace.cli.failures import EXIT_OK
from srspace.config import DEFAULT_WEIGHTS, SamplingConfig, parse_memory
from srspace.errors import UsageError

if TYPE_CHECKING:
    from srspace.models import SRFlow
    from srspace.speed import SpeedReport

PUBLISHED = "published"


def speed(
    model: Annotated[
        str, typer.Option("--model", "-w", help=f"As --weights, or '{PUBLISHED}': random weights of those sizes.")
    ] = DEFAULT_WEIGHTS,
    size: Annotated[str, typer.Option("--size", help="Height x width of the input.")] = "128x128",
    samples: Annotated[int, typer.Option("--samples", "-n", help="N, candidates merged by their mean.")] = 25,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")] = "auto",
    precision: Annotated[str, typer.Option(help="auto, fp32, bf16 or fp16.")] = "auto",
    tile: Annotated[int | None, typer.Option(help="Tile side in input pixels; 0 never tiles [from memory].")] = None,
    max_memory: Annotated[str | None, typer.Option("--max-memory", help="Memory on the device, e.g. 4G.")] = None,
    against: Annotated[
        str | None, typer.Option("--against", help="naive: also time the path that shares nothing.")
    ] = None,
    repeats: Annotated[int, typer.Option(min=1, help="Runs of which the median is taken.")] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> int:
    """Time N candidates of one picture, with encoder, checks and mean, beside what the device can do."""
    from srspace.cli.output import console
    from srspace.devices import pick_device, pick_precision

    if against not in (None, "naive"):
        raise UsageError(f"--against takes naive, not {against!r}.")
    height, width = parse_size(size)
    where = pick_device(device)
    dtype = pick_precision(precision, where)
    sampling = SamplingConfig(
        samples=samples, tile=tile, max_memory=None if max_memory is None else parse_memory(max_memory)
    )
    network = _load(model).to(where)
    from srspace.speed import measure

    screen = console()
    with screen.status("") as status:
        report = measure(
            network, name=model, size=(height, width), samples=samples, dtype=dtype, naive=against == "naive",
            sampling=sampling, repeats=repeats, report=status.update,
        )  # fmt: skip
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
        f"{count} x {_tera(operations.candidate)}; unshared {_tera(count * operations.naive)}"
    )
    rows = [
        ("model", f"{report.model}, {report.precision}"),
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
    if report.naive is not None:
        timed = f"{report.speedup:.1f} times as long; {report.naive_timed} candidates timed"
        rows.append(("unshared path", f"{report.naive:.3f} s ({timed})"))
    return "\n".join(f"{name:<14} {text}" for name, text in rows)


def _tera(count: float) -> str:
    return f"{count / 1e12:.3g}"


def _load(name: str) -> SRFlow:
    if name == PUBLISHED:
        from srspace import speed as library

        return library.random_model(*library.PUBLISHED)
    from srspace.checkpoints import load_flow
    from srspace.hub import resolve_weights

    return load_flow(resolve_weights(name))
