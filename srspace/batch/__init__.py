"""Many pictures in one run: settings, a plan, stages that overlap, and an outcome for each picture."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from srspace.batch.inputs import STDIO, find_inputs
from srspace.batch.outcome import Done, Failed, Kept, LeftOut, Made, Outcome, Skipped, Source
from srspace.batch.pipeline import Progress, Run
from srspace.batch.plan import Job, Plan
from srspace.batch.remote import RemotePlan, is_address
from srspace.batch.settings import BatchSettings
from srspace.batch.workshop import Workshop

if TYPE_CHECKING:
    from srspace.batch.watching import Watch

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
    "Run",
    "Skipped",
    "Source",
    "upscale_files",
    "watch_folders",
]


def upscale_files(
    paths: str | Path | Iterable[str | Path],
    settings: BatchSettings | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Run:
    """Upscale files and folders, as ``srspace upscale`` does.

    What is wrong with the request is raised at once, before any work; what is wrong with a picture is in its outcome.
    The pictures are done while the outcomes are asked for: a loop over them runs to the end. One that is left early, or
    interrupted, leaves the remaining pictures undone, but for a few that were under way, and nothing half-written.

    >>> settings = BatchSettings(mode="fusion-lpips", output="large/", recursive=True)
    >>> for outcome in upscale_files(["photos/"], settings):  # doctest: +SKIP
    ...     print(outcome.input, outcome.status)

    Args:
        paths: files, folders, or ``-`` for standard input; or addresses such as ``s3://bucket/folder``.
        settings: how they are upscaled and where results go (None: the defaults).
        progress: called when a picture begins, while it is computed, and when it has its outcome.

    Returns:
        For every file an outcome, in the order of ``paths`` and, within a folder, of names. ``len`` tells how many
        there will be, and ``stop()`` ends the run early.

    Raises:
        UsageError: a path is missing, there is no picture, results would collide, or settings do not go together.
        WeightsError: weights are missing, cannot be fetched or fail their checksum.
        CheckpointError: weights are damaged or of the wrong kind.
        ResourceError: the device is not there.
        OutputError: the file of records cannot be read or written, or another run uses it.
    """
    settings = settings or BatchSettings()
    places = [paths] if isinstance(paths, str | Path) else list(paths)
    if any(map(is_address, (*places, settings.output))):
        workshop = Workshop(settings)
        return workshop.run(RemotePlan(places, workshop.settings, workshop.scale), progress)
    found = find_inputs(places, recursive=settings.recursive)
    workshop = Workshop(settings)
    return workshop.run(Plan(found, workshop.settings, workshop.scale), progress)


def watch_folders(
    folders: str | Path | Iterable[str | Path],
    settings: BatchSettings | None = None,
    *,
    done: str | Path | None = None,
) -> Watch:
    """Upscale pictures that are in folders or appear there, as ``srspace upscale --watch`` does.

    Args:
        folders: what to watch.
        settings: how pictures are upscaled and where results go (None: the defaults).
        done: a folder that inputs are moved to when their result is there (None: they stay).

    Returns:
        Outcomes as they come. They end when ``stop()`` is called, from another thread or a signal handler.

    Raises:
        SRSpaceError: see :class:`srspace.batch.watching.Watch`.
    """
    from srspace.batch.watching import Watch

    named = [folders] if isinstance(folders, str | Path) else folders
    return Watch(named, settings or BatchSettings(), done=done)
