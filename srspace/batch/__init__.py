"""Many pictures in one run: settings, a plan, an engine of three stages, and an outcome for each picture."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from srspace import modes
from srspace.batch.engine import Progress, run
from srspace.batch.inputs import STDIO, find_inputs
from srspace.batch.outcome import Done, Failed, Kept, LeftOut, Made, Outcome, Skipped
from srspace.batch.plan import Job, Plan
from srspace.batch.settings import BatchSettings
from srspace.hub import choose_fusion, usual_mode, weights_scale

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
    mode = usual_mode(settings.weights, settings.fusion) if settings.mode is None else modes.find(settings.mode)
    settings, network = replace(settings, mode=mode), mode.network
    found = find_inputs([paths] if isinstance(paths, str | Path) else paths, recursive=settings.recursive)
    scale = weights_scale(settings.weights)
    fusion = None if network is None else choose_fusion(settings.weights, network, settings.fusion)
    plan = Plan(found, settings, scale)
    from srspace.upscaler import Upscaler  # loads torch: a mistake above is told without it

    upscaler = Upscaler.load(
        settings.weights, modes=[mode], fusion=fusion, device=settings.device, precision=settings.precision
    )
    upscaler.check(mode, settings.sampling, **settings.parameters)
    made = Made.by(settings, fusion=fusion, scale=scale, device=str(upscaler.device), precision=upscaler.precision)
    return run(plan, settings, upscaler, made, progress)
