"""``srspace upscale``."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from srspace import modes
from srspace.cli import options
from srspace.cli.failures import EXIT_FAILED, EXIT_OK, in_words
from srspace.cli.options import ADVANCED, IO, SAMPLING, flag, option, takes
from srspace.config import AUTO_WEIGHTS, SamplingConfig, parse_memory
from srspace.errors import SRSpaceError
from srspace.modes import Mode

if TYPE_CHECKING:
    from srspace.batch import BatchSettings, Made, Outcome


def _complete_mode(incomplete: str) -> list[tuple[str, str]]:
    return [(mode.name, mode.help) for mode in modes.every().values() if mode.name.startswith(incomplete)]


def _parameters() -> dict[str, Any]:
    """An option for every number that some mode can be adjusted by."""
    users: dict[str, list[Mode]] = {}
    for mode in modes.every().values():
        for parameter in mode.parameters:
            users.setdefault(parameter.name, []).append(mode)
    return {name: _number(name, found) for name, found in users.items()}


def _number(name: str, users: list[Mode]) -> Any:
    of = ", ".join(mode.name for mode in users)
    parameter = next(p for p in users[0].parameters if p.name == name)
    return Annotated[
        float | None,
        option(
            f"--{name.replace('_', '-')}", panel=SAMPLING, metavar="NUMBER", default=f"{parameter.default:g}",
            help=f"{parameter.help} ({of}; from {parameter.low:g} to {parameter.high:g}).",
        ),
    ]  # fmt: skip


@dataclass(frozen=True)
class Options:
    """What ``srspace upscale`` is told."""

    inputs: Annotated[list[str], typer.Argument(metavar="INPUT", help="Pictures, folders, or - for standard input.")]
    output: Annotated[
        str | None,
        option(
            "--output", "-o", panel=IO, metavar="PATH", help="File, folder, or - for standard output.",
            default="beside the input",
        ),
    ] = None  # fmt: skip
    format: Annotated[
        str | None,
        option(
            "--format",
            panel=IO,
            metavar="NAME",
            help="Of results: png, tiff, webp, jpeg or avif.",
            default="the input's",
        ),
    ] = None
    suffix: Annotated[
        str | None,
        option(
            "--suffix", panel=IO, metavar="TEXT", help="Added to result names.", default="_x4, by the weights' scale"
        ),
    ] = None
    recursive: Annotated[bool, flag("--recursive", "-r", panel=IO, help="Search folders inside folders.")] = False
    overwrite: Annotated[bool, flag("--overwrite", panel=IO, help="Replace results that exist.")] = False
    save_samples: Annotated[
        Path | None, option("--save-samples", panel=IO, metavar="DIR", help="Also write every candidate, as PNG.")
    ] = None
    as_json: options.AsJson = False
    quiet: options.Quiet = False
    mode: Annotated[
        str,
        option(
            "--mode", "-m", panel=SAMPLING, metavar="NAME", autocompletion=_complete_mode,
            help=f"How candidates become one picture: {', '.join(modes.every())}.",
        ),
    ] = modes.DEFAULT  # fmt: skip
    samples: options.Samples = None
    tau: options.Tau = SamplingConfig.temperature
    seed: options.Seed = SamplingConfig.seed
    parameters: dict[str, float] = field(default_factory=dict, metadata={"options": _parameters})
    device: options.Device = "auto"
    precision: options.Precision = "auto"
    tile: options.Tile = None
    max_memory: options.MaxMemory = None
    weights: options.AutoWeights = AUTO_WEIGHTS
    fusion: Annotated[
        str | None,
        option(
            "--fusion",
            panel=ADVANCED,
            metavar="NAME",
            help="Fusion network, named like --weights.",
            default="the weights' own",
        ),
    ] = None

    def settings(self) -> BatchSettings:
        """The same, as the library takes it."""
        from srspace.batch import BatchSettings

        limit = None if self.max_memory is None else parse_memory(self.max_memory)
        given: dict[str, Any] = {"samples": self.samples, "tile": self.tile, "max_memory": limit}
        return BatchSettings(
            weights=self.weights,
            fusion=self.fusion,
            mode=self.mode,
            parameters=self.parameters,
            sampling=SamplingConfig(
                temperature=self.tau, seed=self.seed, **{k: v for k, v in given.items() if v is not None}
            ),
            device=self.device,
            precision=self.precision,
            output=self.output,
            format=self.format,
            suffix=self.suffix,
            recursive=self.recursive,
            overwrite=self.overwrite,
            save_samples=self.save_samples,
        )


@takes(Options)
def upscale(options: Options) -> int:
    """Upscale pictures.

    Results that exist are kept unless --overwrite is given, and results of earlier runs that are found among the
    inputs are not upscaled again. JSON goes to stdout, or to stderr when the picture itself goes to stdout.
    """
    from srspace.batch import upscale_files
    from srspace.cli.output import batch_progress, message

    statuses = []
    with batch_progress(quiet=options.quiet or options.as_json) as progress:
        for outcome in upscale_files(options.inputs, options.settings(), progress):
            statuses.append(outcome.status)
            _print(outcome, options)
    failed, tried = statuses.count("failed"), len(statuses) - statuses.count("skipped")
    if failed and tried > 1 and not options.quiet and not options.as_json:
        message(f"{failed} of {tried} pictures failed.")
    return EXIT_FAILED if failed else EXIT_OK


def epilog() -> str:
    """What stands below the options: a line for every mode."""
    lines = [f"  {mode.name}: {mode.help}." for mode in modes.every().values()]
    return options.plain("\n".join(["\b", "Modes:", *lines]))


def _print(outcome: Outcome, options: Options) -> None:
    from srspace.batch import STDIO, Failed
    from srspace.cli.output import message, print_json, show_traceback

    words = _words(outcome)
    if isinstance(outcome, Failed):
        show_traceback(outcome.error)
    if options.as_json:
        told = {"error": words} if isinstance(outcome, Failed) else {}
        print_json(outcome.record() | told, error=outcome.output == STDIO)
    elif isinstance(outcome, Failed):
        message(f"srspace: {words}")
    elif not options.quiet:
        message(f"{outcome.input} {words}")


def _chosen(made: Made) -> str:
    """Which weights were chosen for a picture, and why; nothing where they were named."""
    assessment = made.assessment
    if assessment is None:
        return ""
    if assessment.family != made.weights:
        return f"; weights {made.weights}, because {assessment.family} has no network for the mode {made.mode}"
    return f"; weights {made.weights}: {', '.join(assessment.reasons) or 'no damage found'}"


def _words(outcome: Outcome) -> str:
    """What is told of an outcome, beside the name of the input."""
    from srspace.batch import Done, Failed, Kept, Skipped
    from srspace.cli.output import unexpected

    match outcome:
        case Failed(error=SRSpaceError() as error):
            return in_words(error)
        case Failed():
            return f"{outcome.input}: {unexpected(outcome.error)}"
        case Skipped():
            return f"skipped: {outcome.reason}; name it alone to upscale it again."
        case Done():
            redrawn = f", {len(outcome.redraws)} candidates redrawn" if outcome.redraws else ""
            size = f"{outcome.width}x{outcome.height}"
            return f"-> {outcome.output} ({size}, {outcome.seconds:.1f} s{redrawn}{_chosen(outcome.made)})"
        case Kept():
            size = "unreadable" if outcome.width is None else f"{outcome.width}x{outcome.height}"
            return f"-> {outcome.output} (kept, {size}{', made with other settings' if outcome.differs else ''})"
    raise TypeError(f"{outcome!r} is no outcome")
