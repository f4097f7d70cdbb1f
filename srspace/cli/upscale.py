"""``srspace upscale``."""

from __future__ import annotations

import textwrap
import time
from collections import Counter
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from rich.markup import escape

from srspace import modes
from srspace.cli import completion, options
from srspace.cli.completion import complete
from srspace.cli.failures import EXIT_FAILED, EXIT_OK, in_words
from srspace.cli.grid import Grid, check_grid, write_grid
from srspace.cli.interruption import InterruptedRunError, Interruption, interruptible
from srspace.cli.options import DEVICE, IO, SAMPLING, argument, flag, option, takes
from srspace.config import AUTO_WEIGHTS, SamplingConfig
from srspace.errors import SRSpaceError, UsageError
from srspace.modes import Mode
from srspace.sizes import MAX_FACTOR, TargetSize, told_size

if TYPE_CHECKING:
    from srspace.batch import BatchSettings, Made, Outcome

_EPILOG_WIDTH = 78
_NAMES = 20
_STATUSES = ("done", "kept", "skipped", "left_out", "failed")


def _parameters() -> dict[str, Any]:
    """An option for every number that some mode can be adjusted by."""
    users: dict[str, list[Mode]] = {}
    for mode in modes.every().values():
        for parameter in mode.parameters:
            users.setdefault(parameter.name, []).append(mode)
    return {name: _number(name, found) for name, found in users.items()}


def _number(name: str, users: list[Mode]) -> Any:
    parameter = next(p for p in users[0].parameters if p.name == name)
    of = f"mode{'s' if len(users) > 1 else ''} {', '.join(mode.name for mode in users)}"
    return Annotated[
        float | None,
        option(
            f"--{name.replace('_', '-')}", panel=SAMPLING, metavar=f"{parameter.low:g}..{parameter.high:g}",
            help=f"{parameter.help.rstrip('.')} ({of}).", default=f"{parameter.default:g}",
        ),
    ]  # fmt: skip


@dataclass(frozen=True)
class Options:
    """What ``srspace upscale`` is told."""

    inputs: Annotated[list[str], argument("INPUT", help="Pictures, folders, or - for standard input.")]
    output: Annotated[
        str | None,
        option(
            "--output", "-o", panel=IO, metavar="PATH", help="File or folder for the results; - for standard output.",
            default="beside the input",
        ),
    ] = None  # fmt: skip
    format: Annotated[
        str | None,
        option(
            "--format", panel=IO, metavar="NAME", autocompletion=complete(completion.formats),
            help="Format of the results: png, tiff, webp, jpeg, avif, gif or jxl.", default="as the input",
        ),
    ] = None  # fmt: skip
    scale: Annotated[
        float | None,
        option(
            "--scale", panel=IO, metavar="N", default="the weights' scale, 4",
            help=f"How many times as large results are, up to {MAX_FACTOR}; 1 restores and does not enlarge.",
        ),
    ] = None  # fmt: skip
    width: Annotated[int | None, option("--width", panel=IO, metavar="N", help="Width of the results, in pixels.")] = (
        None
    )
    height: Annotated[
        int | None, option("--height", panel=IO, metavar="N", help="Height of the results, in pixels.")
    ] = None
    fit: Annotated[
        str | None, option("--fit", panel=IO, metavar="WxH", help="Box that the results just fit into.")
    ] = None  # fmt: skip
    megapixels: Annotated[
        float | None, option("--megapixels", panel=IO, metavar="N", help="Size of the results, in millions of pixels.")
    ] = None
    linear_light: Annotated[
        bool, flag("--linear-light", panel=IO, help="Reduce to a --scale, --width, ... in linear light.")
    ] = False
    suffix: Annotated[
        str | None,
        option(
            "--suffix", panel=IO, metavar="TEXT", help="Added to the names of the results.",
            default="after the size: _x4, _x1.5, _1920w, _fit800x600, _2mp",
        ),
    ] = None  # fmt: skip
    recursive: Annotated[bool, flag("--recursive", "-r", panel=IO, help="Search subfolders as well.")] = False
    overwrite: Annotated[bool, flag("--overwrite", panel=IO, help="Replace existing results.")] = False
    save_samples: Annotated[
        Path | None, option("--save-samples", panel=IO, metavar="DIR", help="Also save every candidate, as PNG.")
    ] = None
    uncertainty: Annotated[
        str | None,
        option("--uncertainty", panel=IO, metavar="PATH", help="File or folder for maps of where candidates differ."),
    ] = None
    uncertainty_style: Annotated[
        str,
        option(
            "--uncertainty-style", panel=IO, metavar="grey|map", autocompletion=complete(completion.uncertainty_styles),
            help="16-bit grey for programs, or a map in colours with a legend.",
        ),
    ] = "grey"  # fmt: skip
    min_lr_psnr: Annotated[
        float | None,
        option(
            "--min-lr-psnr", panel=IO, metavar="DB",
            help="Write no result whose bicubic reduction agrees less with the input.",
        ),
    ] = None  # fmt: skip
    strip: Annotated[bool, flag("--strip", panel=IO, help="Leave EXIF, XMP, IPTC, texts and dpi out of results.")] = (
        False
    )
    strip_gps: Annotated[bool, flag("--strip-gps", panel=IO, help="Leave out where a picture was taken.")] = False
    first_frame: Annotated[bool, flag("--first-frame", panel=IO, help="Of animations, take the first frame.")] = False
    grid: Grid = None
    preview: Annotated[
        bool, flag("--preview", panel=IO, help="Show results in the terminal; nothing where output is piped.")
    ] = False
    as_json: options.AsJson = False
    jsonl: Annotated[
        Path | None,
        option("--jsonl", panel=IO, metavar="FILE", help="Also add a JSON record of every picture to a file."),
    ] = None
    resume: Annotated[
        bool | None,
        option(
            "--resume/--no-resume", panel=IO, default="if the file of --jsonl exists",
            help="Keep what the file of --jsonl tells to be done, with the same content and settings.",
        ),
    ] = None  # fmt: skip
    fail_fast: Annotated[bool, flag("--fail-fast", panel=IO, help="End with the first picture that fails.")] = False
    retries: Annotated[
        int,
        option(
            "--retries", panel=IO, metavar="N", min=0,
            help="How often to try again, after a pause, where the disk or the memory fails.",
        ),
    ] = 0  # fmt: skip
    watch: Annotated[
        bool, flag("--watch", panel=IO, help="Go on with pictures that appear in the folders, until interrupted.")
    ] = False
    done: Annotated[
        Path | None,
        option("--done", panel=IO, metavar="DIR", help="With --watch: move pictures there that have their result."),
    ] = None
    quiet: options.Quiet = False
    mode: options.UsualMode = None
    samples: options.Samples = None
    tau: options.Tau = SamplingConfig.temperature
    seed: options.Seed = SamplingConfig.seed
    latents: Annotated[
        str | None,
        option(
            "--latents", panel=SAMPLING, metavar="NAME", autocompletion=complete(completion.latents),
            help="How candidates are drawn: independent, or antithetic (in pairs whose errors partly cancel).",
            default="as the mode prefers",
        ),
    ] = None  # fmt: skip
    parameters: dict[str, float] = field(default_factory=dict, metadata={"options": _parameters})
    consistency: Annotated[
        bool | None,
        option(
            "--consistency/--no-consistency", panel=SAMPLING, default="where it was measured to help",
            help="Make the bicubic reduction of the result equal the input. For input that was reduced that way.",
        ),
    ] = None  # fmt: skip
    device: options.Devices = "auto"
    precision: options.Precision = "auto"
    engine: Annotated[
        str,
        option("--engine", panel=DEVICE, metavar="NAME", help="local, or ray for the machines of a Ray cluster."),
    ] = "local"
    address: Annotated[
        str | None,
        option(
            "--address", panel=DEVICE, metavar="ADDRESS", default="a cluster of this machine alone",
            help="Address of the Ray cluster; auto for the one that this machine belongs to.",
        ),
    ] = None  # fmt: skip
    workers: Annotated[
        int | None,
        option(
            "--workers", panel=DEVICE, metavar="N", default="one a GPU, or for four cores",
            help="How many pictures the Ray cluster computes at a time.",
        ),
    ] = None  # fmt: skip
    tile: options.Tile = None
    max_memory: options.MaxMemory = None
    weights: options.AutoWeights = AUTO_WEIGHTS
    fusion: options.Fusion = None

    def size(self) -> TargetSize | None:
        """The size of the results, where one is asked for.

        Raises:
            UsageError: it is told in several ways, or is out of range.
        """
        size = told_size(self.scale, self.width, self.height, self.fit, self.megapixels, linear_light=self.linear_light)
        if size is None and self.linear_light:
            raise UsageError("--linear-light goes with --scale, --width, --height, --fit or --megapixels.")
        return size

    def settings(self) -> BatchSettings:
        """The same, as the library takes it."""
        from srspace.batch import BatchSettings

        return BatchSettings(
            weights=self.weights,
            fusion=self.fusion,
            mode=self.mode,
            parameters=self.parameters,
            sampling=options.sampling(self, latents=self.latents),
            consistency=self.consistency,
            device=self.device,
            precision=self.precision,
            engine=self.engine,  # type: ignore[arg-type]  # an unknown one is told
            address=self.address,
            workers=self.workers,
            output=self.output,
            size=self.size(),
            format=self.format,
            suffix=self.suffix,
            recursive=self.recursive,
            overwrite=self.overwrite,
            save_samples=self.save_samples,
            uncertainty=self.uncertainty,
            uncertainty_style=self.uncertainty_style,
            min_lr_psnr=self.min_lr_psnr,
            strip=self.strip,
            strip_gps=self.strip_gps,
            first_frame=self.first_frame,
            records=self.jsonl,
            resume=self.resume,
            fail_fast=self.fail_fast,
            retries=self.retries,
        )


@takes(Options)
def upscale(options: Options) -> int:
    """Upscale pictures.

    Existing results are kept unless --overwrite is given. Results of earlier runs among the inputs are skipped. JSON
    goes to standard output, or to standard error when the picture itself goes to standard output.
    """
    from srspace.batch import upscale_files
    from srspace.cli.output import batch_progress

    check_grid(options.grid, options.inputs)
    if options.watch:
        return _watch(options)
    if options.done is not None:
        raise UsageError("--done needs --watch.")
    tally = Tally()
    with batch_progress(quiet=options.quiet or options.as_json) as progress:
        outcomes = upscale_files(options.inputs, options.settings(), progress)
        # A single picture, which may come through a pipe, is given up at once.
        several = len(outcomes) > 1
        with interruptible(outcomes.stop, _tell_ending) if several else nullcontext(Interruption()) as interruption:
            for outcome in outcomes:
                tally.count(outcome)
                _print(outcome, options)
                _preview(outcome, options)
    left = len(outcomes) - tally.total
    if options.grid is not None and not left:
        _write_grid(options.grid, options)
    if not options.quiet and not options.as_json:
        tally.tell(left)
    if left and interruption.signal is not None:
        raise InterruptedRunError(interruption.exit_code, left, len(outcomes))
    return EXIT_FAILED if tally.failed else EXIT_OK


def _watch(options: Options) -> int:
    """Upscale what is in folders and what appears there; an interruption is its usual end."""
    from srspace.batch import watch_folders
    from srspace.cli.output import message

    tally, shown = Tally(), not options.quiet and not options.as_json
    outcomes = watch_folders(options.inputs, options.settings(), done=options.done)
    if shown:
        message(f"watching {', '.join(options.inputs)}; interrupt to end.")
    with interruptible(outcomes.stop, _tell_ending):
        for outcome in outcomes:
            tally.count(outcome)
            _print(outcome, options)
            _preview(outcome, options)
    if shown:
        tally.tell(0)
    return EXIT_FAILED if tally.failed else EXIT_OK


def _tell_ending() -> None:
    from srspace.cli.output import message

    message("srspace: ending once the pictures at hand are written; interrupt again to end at once.")


class Tally:
    """What became of the pictures of a run."""

    def __init__(self) -> None:
        self._start = time.monotonic()
        self._statuses: Counter[str] = Counter()
        self._left_out: dict[str, list[str]] = {}

    def count(self, outcome: Outcome) -> None:
        """Take an outcome into account."""
        self._statuses[outcome.status] += 1
        if outcome.status == "left_out":
            self._left_out.setdefault(str(outcome.record()["error"]), []).append(Path(outcome.input).name)

    @property
    def total(self) -> int:
        """How many outcomes there were."""
        return self._statuses.total()

    @property
    def failed(self) -> int:
        """How many pictures failed."""
        return self._statuses["failed"]

    def tell(self, left: int) -> None:
        """Say what there is to say beyond the outcomes.

        Args:
            left: pictures without an outcome, because the run ended early.
        """
        from srspace.cli.output import message

        if self._left_out:
            count = self._statuses["left_out"]
            told = "; ".join(f"{_listed(names)} ({reason})" for reason, names in self._left_out.items())
            message(f"{count} {'file was' if count == 1 else 'files were'} left out: {told}.")
        counts = {word.replace("_", " "): self._statuses[word] for word in _STATUSES} | {"not begun": left}
        if self.total + left > 1:
            parts = ", ".join(f"{count} {word}" for word, count in counts.items() if count)
            message(f"{self.total + left} files: {parts}; {_duration(time.monotonic() - self._start)}.")


def _duration(seconds: float) -> str:
    """A duration in words, such as ``1 h 5 min`` or ``12 s``."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def _listed(names: list[str]) -> str:
    """The first of many names, and how many more there are."""
    more = len(names) - _NAMES
    return ", ".join(names[:_NAMES]) + (f" and {more} more" if more > 0 else "")


def epilog() -> str:
    """What stands below the options: every mode, with what it does."""
    every = (*modes.every().values(), modes.EXTERNAL)
    column = 4 + max(len(mode.name) for mode in every)
    lines = [_hanging(f"  {mode.name:<{column - 2}}{mode.help}", column) for mode in every]
    return escape("\n".join(["Modes:", *lines]))


def _hanging(text: str, column: int) -> str:
    return textwrap.fill(text, _EPILOG_WIDTH, subsequent_indent=" " * column)


def _print(outcome: Outcome, options: Options) -> None:
    from srspace.batch import STDIO, Done, Failed, LeftOut
    from srspace.cli.output import message, print_json, show_traceback

    words = _words(outcome)
    if isinstance(outcome, Failed):
        show_traceback(outcome.error)
    if options.as_json:
        told = {"error": words} if isinstance(outcome, Failed) else {}
        print_json(outcome.record() | told, error=outcome.output == STDIO)
    elif isinstance(outcome, Failed):
        message(f"srspace: {words}")
    elif not options.quiet and not isinstance(outcome, LeftOut):
        message(f"{outcome.input} {words}")
        for warning in outcome.warnings if isinstance(outcome, Done) else ():
            message(f"{outcome.input}: {warning}")


def _preview(outcome: Outcome, options: Options) -> None:
    from srspace.batch import STDIO, Done, Kept
    from srspace.cli.preview import can_preview, preview

    shown = isinstance(outcome, Done | Kept) and outcome.output not in (None, STDIO)
    if options.preview and shown and not options.quiet and not options.as_json and can_preview():
        preview(Path(str(outcome.output)))


def _write_grid(target: Path, options: Options) -> None:
    from srspace.cli.output import named_progress
    from srspace.report.explore import ExploreSettings

    upscaled = options.settings()
    settings = ExploreSettings(
        weights=upscaled.weights,
        fusion=upscaled.fusion,
        sampling=upscaled.sampling,
        device=_first(upscaled.device),
        precision=upscaled.precision,
    )
    with named_progress(quiet=options.quiet or options.as_json) as report:
        write_grid(target, Path(options.inputs[0]), settings, report)


def _first(devices: str) -> str:
    """The first of several devices."""
    return "cuda" if devices == "cuda:all" else devices.split(",")[0]


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
    from srspace.batch import Done, Failed, Kept, LeftOut, Skipped
    from srspace.cli.output import unexpected

    match outcome:
        case Failed(error=SRSpaceError() as error):
            return in_words(error)
        case Failed():
            return f"{outcome.input}: {unexpected(outcome.error)}"
        case Skipped():
            return f"skipped: {outcome.reason}; name it alone to upscale it again."
        case LeftOut():
            return f"left out: {outcome.reason}."
        case Done():
            frames = f"{outcome.frames} frames, " if outcome.frames > 1 else ""
            count = len(outcome.redraws)
            redrawn = f", {count} candidate{'s' if count > 1 else ''} redrawn" if count else ""
            size = f"{outcome.width}x{outcome.height}"
            told = f"{frames}{outcome.seconds:.1f} s{redrawn}{_chosen(outcome.made)}"
            return f"-> {outcome.output} ({size}, {told})"
        case Kept():
            read = outcome.width is not None and f"{outcome.width}x{outcome.height}"
            size = read or ("not looked at" if "://" in str(outcome.output) else "unreadable")
            return f"-> {outcome.output} (kept, {size}{', made with other settings' if outcome.differs else ''})"
    raise TypeError(f"{outcome!r} is no outcome")
