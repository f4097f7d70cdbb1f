"""Many pictures in one run: settings, a plan, an engine of three stages, and an outcome for each picture."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from srspace import modes
from srspace.batch.deciding import Chosen, Named
from srspace.batch.engine import Computer, Progress, Reader, Writer, run
from srspace.batch.inputs import STDIO, Found, find_inputs
from srspace.batch.outcome import Done, Failed, Kept, LeftOut, Made, Outcome, Skipped
from srspace.batch.plan import Job, Plan
from srspace.batch.settings import BatchSettings
from srspace.batch.sizing import SizedUpscaler
from srspace.config import AUTO_WEIGHTS
from srspace.families import CLEAN, available, serving
from srspace.hub import base_flow, choose_fusion, usual_mode, weights_scale
from srspace.modes import Mode

__all__ = [
    "STDIO",
    "BatchSettings",
    "Done",
    "Failed",
    "Job",
    "Kept",
    "LeftOut",
    "Made",
    "Outcome",
    "Plan",
    "Progress",
    "Skipped",
    "upscale_files",
]


def upscale_files(
    paths: str | Path | Iterable[str | Path],
    settings: BatchSettings | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Iterator[Outcome]:
    """Upscale files and folders, as ``srspace upscale`` does.

    What is wrong with the request is raised at once, before any work; what is wrong with a picture is in its outcome.
    The pictures are done while the outcomes are asked for: a loop over them runs to the end, and one that is left
    early, or interrupted, leaves the remaining pictures undone and nothing half-written.

    >>> settings = BatchSettings(mode="fusion-lpips", output="large/", recursive=True)
    >>> for outcome in upscale_files(["photos/"], settings):  # doctest: +SKIP
    ...     print(outcome.input, outcome.status)

    Args:
        paths: files, folders, or ``-`` for standard input.
        settings: how they are upscaled and where results go (None: the defaults).
        progress: called when a picture begins, while it is computed, and when it has its outcome.

    Returns:
        For every file an outcome, in the order of ``paths`` and, within a folder, of names.

    Raises:
        UsageError: a path is missing, there is no picture, results would collide, or settings do not go together.
        WeightsError: weights are missing, cannot be fetched or fail their checksum.
        CheckpointError: weights are damaged or of the wrong kind.
        ResourceError: the device is not there.
    """
    settings = settings or BatchSettings()
    found = find_inputs([paths] if isinstance(paths, str | Path) else paths, recursive=settings.recursive)
    if settings.weights == AUTO_WEIGHTS and settings.fusion is not None:
        settings = replace(settings, weights=base_flow(settings.fusion))  # a network belongs to one flow
    if settings.weights == AUTO_WEIGHTS and len(available()) == 1:
        settings = replace(settings, weights=available()[0].weights)  # nothing to choose, and nothing to tell
    chosen = settings.weights == AUTO_WEIGHTS
    if settings.mode is None:
        mode = usual_mode(CLEAN.weights if chosen else settings.weights, settings.fusion)
    else:
        mode = modes.find(settings.mode)
    settings = replace(settings, mode=mode)
    return (_chosen if chosen else _named)(found, settings, mode, progress)


def _named(
    found: list[Found], settings: BatchSettings, mode: Mode, progress: Callable[[Progress], None] | None
) -> Iterator[Outcome]:
    """The same weights for every picture."""
    scale = weights_scale(settings.weights)
    fusion = None if mode.network is None else choose_fusion(settings.weights, mode.network, settings.fusion)
    settings = settings.for_scale(scale)
    plan = Plan(found, settings, scale)
    from srspace.upscaler import Upscaler  # loads torch: a mistake above is told without it

    upscaler = Upscaler.load(
        settings.weights, modes=[mode], fusion=fusion, device=settings.device, precision=settings.precision
    )
    upscaler.check(mode, settings.sampling, **settings.parameters)
    made = Made.by(settings, fusion=fusion, scale=scale, device=str(upscaler.device), precision=upscaler.precision)
    sized = SizedUpscaler.of(upscaler, settings.size)
    compute = Computer(settings, lambda made: sized)
    return run(plan, (Reader(settings, Named(made), scale), compute, Writer()), made, progress)


def _chosen(
    found: list[Found], settings: BatchSettings, mode: Mode, progress: Callable[[Progress], None] | None
) -> Iterator[Outcome]:
    """For each picture the family of weights that suits it."""
    families = serving(mode)
    scale = weights_scale(next(iter(families)))
    settings = settings.for_scale(scale)
    plan = Plan(found, settings, scale)
    from srspace.auto import AutoUpscaler

    upscaler = AutoUpscaler(modes=[mode], device=settings.device, precision=settings.precision)
    made = Made.by(settings, fusion=None, scale=scale, device=str(upscaler.device), precision=upscaler.precision)
    decide = Chosen(made, families)
    stages = (
        Reader(settings, decide, scale),
        Computer(settings, lambda made: SizedUpscaler.of(upscaler.family(str(made.weights)), settings.size)),
        Writer(),
    )
    return run(plan, stages, made, progress)
