"""Pictures that were accepted: how many at a time, what becomes of them, and how long results stay."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from srspace.batch import BatchSettings
from srspace.errors import BusyError, LateError
from srspace.serve.settings import ServeSettings
from srspace.serve.studio import Answer, Studio

KEPT_BYTES = 512 * 2**20
"""Results of jobs that stay at most."""

_THREADS = 2  # while one computes, the other decodes or encodes
_USUAL_SECONDS = 5.0


class _DroppedError(Exception):
    """Nobody waits for this picture any more."""


@dataclass(eq=False)
class Job:
    """A picture on its way.

    Attributes:
        id: names it; nobody can guess it.
        deadline: when it is too late, by the monotonic clock.
        share: of the work that is done.
        running: whether it has begun.
        dropped: whether nobody waits for it any more.
        finished: when it ended, by the monotonic clock; None before.
        future: gives its answer, or what it failed of.
    """

    id: str
    deadline: float
    share: float = 0.0
    running: bool = False
    dropped: bool = False
    finished: float | None = None
    future: Future[Answer] = field(default_factory=Future)

    @property
    def state(self) -> str:
        """``queued``, ``running``, ``done`` or ``failed``."""
        if not self.future.done():
            return "running" if self.running else "queued"
        return "failed" if self.error is not None else "done"

    @property
    def error(self) -> BaseException | None:
        """What it failed of."""
        if not self.future.done():
            return None
        return CancelledError() if self.future.cancelled() else self.future.exception()

    def drop(self) -> None:
        """Stop as soon as possible."""
        self.dropped = True
        self.future.cancel()


class Slot:
    """Room for one picture; it is given back once, by whoever has it last."""

    def __init__(self, jobs: Jobs) -> None:
        self._jobs: Jobs | None = jobs

    def release(self, _: Any = None) -> None:
        """Give it back."""
        if self._jobs is not None:
            self._jobs.accepted -= 1
            self._jobs = None


class Jobs:
    """All pictures that were accepted. Its methods are called by the thread that serves.

    Args:
        studio: where they are upscaled.
        settings: of the service.

    Attributes:
        accepted: pictures that were accepted and are not finished.
    """

    def __init__(self, studio: Studio, settings: ServeSettings) -> None:
        self._studio, self._settings = studio, settings
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="srspace")
        self._kept: dict[str, Job] = {}
        self._active: set[Job] = set()
        self._seconds = _USUAL_SECONDS
        self.accepted = 0

    def admit(self) -> Slot:
        """Room for one more picture, before its file is read.

        Raises:
            BusyError: there is none.
        """
        if self.accepted >= self._settings.queue:
            raise BusyError(max(1, round(self._seconds * self.accepted / 2)))
        self.accepted += 1
        return Slot(self)

    def submit(
        self, slot: Slot, data: bytes, name: str, asked: BatchSettings, done: Callable[[Job], None], *, keep: bool
    ) -> Job:
        """Start on a picture.

        Args:
            slot: of :meth:`admit`; it is given back when the picture is finished.
            data: the file.
            name: what to call it in messages.
            asked: of :meth:`Studio.settled`.
            done: called with the job when it is finished, in any thread.
            keep: whether it stays after that, for :meth:`find`.
        """
        job = Job(secrets.token_urlsafe(12), time.monotonic() + self._settings.timeout)
        job.future = self._threads.submit(self._run, job, data, name, asked)

        def finish(_: Future[Answer]) -> None:
            job.finished = time.monotonic()
            done(job)

        self._active = {other for other in self._active if other.finished is None} | {job}
        job.future.add_done_callback(finish)
        if keep:
            self._kept[job.id] = job
            self._tidy()
        return job

    def find(self, id: str) -> Job | None:
        """A job that was to be kept, as long as it is."""
        self._tidy()
        return self._kept.get(id)

    def forget(self, id: str) -> bool:
        """Stop a job and throw its result away; returns whether there was one."""
        job = self._kept.pop(id, None)
        if job is not None:
            job.drop()
        return job is not None

    def stop(self) -> None:
        """Drop all that is at work, and wait until the threads are gone."""
        for job in self._active:
            job.drop()
        self._threads.shutdown(wait=True, cancel_futures=True)

    def _run(self, job: Job, data: bytes, name: str, asked: BatchSettings) -> Answer:
        def progress(share: float) -> None:
            if job.dropped:
                raise _DroppedError
            if time.monotonic() > job.deadline:
                raise LateError(self._settings.timeout)
            job.share = share

        progress(0.0)
        job.running, start = True, time.monotonic()
        answer = self._studio.upscale(data, name, asked, progress)
        self._seconds += 0.2 * (time.monotonic() - start - self._seconds)
        return answer

    def _tidy(self) -> None:
        """Throw away results that are old, and the oldest of too many."""
        now, most = time.monotonic(), self._settings.kept
        finished = [job for job in self._kept.values() if job.finished is not None]
        finished.sort(key=lambda job: job.finished or now, reverse=True)
        size = 0
        for index, job in enumerate(finished):
            size += 0 if job.error is not None else len(job.future.result().file.data)
            if index >= most or size > KEPT_BYTES or now - (job.finished or now) > self._settings.keep:
                del self._kept[job.id]
