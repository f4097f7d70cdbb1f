"""Folders that are watched: pictures are upscaled as they appear, once they are complete.

A file is taken for complete when it has not changed for :data:`SETTLED` seconds; one that was moved here has not
changed for longer already. Whoever pauses longer while writing leaves a file that cannot be read. Such a file is only
told to be damaged when it has not changed for :data:`PATIENCE` seconds.
"""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Generator, Iterable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from watchfiles import watch

from srspace.batch.inputs import STDIO, Found, find_inputs, found_in, is_folder, real
from srspace.batch.outcome import Done, Failed, Kept, Outcome, Skipped
from srspace.batch.pipeline import Run
from srspace.batch.plan import Plan
from srspace.batch.records import Records
from srspace.batch.settings import BatchSettings
from srspace.batch.workshop import Workshop
from srspace.errors import (
    EarlierResultsError,
    ImageError,
    NoPictureError,
    OtherResultError,
    OutputError,
    SharedTargetError,
    UsageError,
)
from srspace.hub import sha256
from srspace.images import read_header

SETTLED = 1.0
"""Seconds after which an unchanged file is complete."""

PATIENCE = 10.0
"""Seconds after which an unchanged file that cannot be read is damaged."""

_TICK = 0.2  # seconds between two looks
_SEARCH = 60.0  # seconds between two searches, which find what a file system did not tell of

Signature = tuple[int, int, int]


@dataclass
class _Waiting:
    """A file that is not known to be complete.

    Attributes:
        found: the file.
        signature: its size, time and number.
        since: since when these are the same, on the clock of :func:`time.monotonic`.
        failed: what became of it when it seemed to be complete.
    """

    found: Found
    signature: Signature
    since: float
    failed: Failed | None = None

    def over(self, now: float) -> bool:
        """Whether it has waited long enough."""
        return now - self.since >= (SETTLED if self.failed is None else PATIENCE)


class Watch(Iterator[Outcome]):
    """The outcomes of pictures that are in folders or appear there, until it is stopped.

    Results of earlier runs are passed over without an outcome, and so are files that are not read.

    Args:
        folders: what to watch.
        settings: how pictures are upscaled and where results go. Where folders inside folders are searched, they are
            watched as well.
        done: a folder that inputs are moved to when their result is there, into the same folders inside; a file that
            is there already is not replaced. None: they stay.

    Raises:
        UsageError: something else than a folder is named, or settings do not go together.
        WeightsError: weights are missing, cannot be fetched or fail their checksum.
        CheckpointError: weights are damaged or of the wrong kind.
        ResourceError: the device is not there.
        OutputError: ``done`` or the file of records cannot be written.
    """

    def __init__(
        self, folders: Iterable[str | Path], settings: BatchSettings, *, done: str | Path | None = None
    ) -> None:
        self._folders = [Path(folder) for folder in folders]
        for folder in self._folders:
            if not is_folder(folder):
                raise UsageError(f"{folder} is not a folder; only folders can be watched.")
        if settings.output is not None and os.fspath(settings.output) == STDIO:
            raise UsageError("results of watched folders cannot go to standard output.")
        self._done = None if done is None else Path(done)
        if self._done is not None:
            _make_folder(self._done)
        self._workshop = Workshop(settings)
        self._workshop.load()
        self._open = ExitStack()
        self._records: Records | None = None
        if settings.records is not None:
            self._records = self._open.enter_context(Records(settings.records, resume=settings.resume))
        self._ends = threading.Event()
        self._run: Run | None = None
        self._waiting: dict[Path, _Waiting] = {}
        self._known: dict[Path, Signature] = {}
        self._makers: dict[Path, Path] = {}
        self._outcomes = self._watched()

    def __next__(self) -> Outcome:
        return next(self._outcomes)

    def stop(self) -> None:
        """End it soon, as :meth:`srspace.batch.Run.stop` does; for other threads and signal handlers."""
        self._ends.set()
        if self._run is not None:
            self._run.stop()

    def close(self) -> None:
        """End it now, without further outcomes."""
        self._outcomes.close()
        self._open.close()

    def _watched(self) -> Generator[Outcome, None, None]:
        changes = watch(
            *self._folders, watch_filter=None, debounce=int(1000 * _TICK), step=50, stop_event=self._ends,
            rust_timeout=int(1000 * _TICK), yield_on_timeout=True, raise_interrupt=True,
            recursive=self._workshop.settings.recursive,
        )  # fmt: skip
        searched = -_SEARCH
        with self._open:
            for changed in changes:
                now = time.monotonic()
                if now - searched >= _SEARCH:
                    searched = now
                    self._look_at(self._everything())
                else:
                    self._look_at(self._named({Path(path) for _, path in changed}))
                yield from self._upscaled(self._complete())
                if self._ends.is_set():
                    return

    def _everything(self) -> list[Found]:
        with suppress(NoPictureError):
            return find_inputs(self._folders, recursive=self._workshop.settings.recursive)
        return []

    def _named(self, paths: set[Path]) -> list[Found]:
        """The pictures among files that have changed; of a folder that has appeared, those in it."""
        found: list[Found] = []
        for path in sorted(paths):
            root = next((f for f in self._folders if path.is_relative_to(f)), None)
            root = root or next((f for f in self._folders if path.is_relative_to(f.absolute())), None)
            if root is None or not path.exists():
                continue
            place = path.relative_to(root if path.is_relative_to(root) else root.absolute())
            if any(part.startswith(".") for part in place.parts):
                continue
            if path.is_dir():
                found += self._everything()
            elif (picture := found_in(root, root / place)) is not None:
                found.append(picture)
        return found

    def _look_at(self, found: Iterable[Found]) -> None:
        """Have pictures wait that are new or have changed."""
        now = time.monotonic()
        for picture in found:
            path = picture.path
            if path is None or picture.left_out is not None or self._is_moved(path):
                continue
            signature = _signature(path)
            if signature is None or self._known.get(path) == signature or path in self._waiting:
                continue
            age = max(0.0, time.time() - signature[1] / 1e9)
            self._waiting[path] = _Waiting(picture, signature, now - age)

    def _is_moved(self, path: Path) -> bool:
        return self._done is not None and real(path).is_relative_to(real(self._done))

    def _complete(self) -> list[Found]:
        """The pictures that have waited long enough."""
        now, complete = time.monotonic(), []
        for path, waiting in list(self._waiting.items()):
            signature = _signature(path)
            if signature is None:
                del self._waiting[path]
            elif signature != waiting.signature:
                self._waiting[path] = _Waiting(waiting.found, signature, now)
            elif waiting.over(now):
                complete.append(waiting.found)
        return complete

    def _upscaled(self, found: list[Found]) -> Iterator[Outcome]:
        for plan in self._plans(found):
            if isinstance(plan, Outcome):
                yield from self._told(plan)
                continue
            if self._ends.is_set():
                return
            self._run = self._workshop.run(plan, records=self._records)
            if self._ends.is_set():
                self._run.stop()
            for outcome in self._run:
                yield from self._told(outcome)
            self._run = None

    def _plans(self, found: list[Found]) -> Iterator[Plan | Failed]:
        """A plan for all or, where they collide, for one after the other."""
        if not found:
            return
        try:
            plan = self._plan(found)
        except EarlierResultsError:
            for picture in found:
                self._settle(picture)
            return
        except UsageError as error:
            if len(found) > 1:
                for picture in found:
                    yield from self._plans([picture])
                return
            (picture,) = found
            yield Failed(picture.name, None, self._workshop.load().decide.made, error)
            return
        yield plan

    def _plan(self, found: list[Found]) -> Plan:
        """A plan whose results replace none that another input of this watch has.

        Raises:
            UsageError: inputs cannot be upscaled together.
        """
        plan = Plan(found, self._workshop.settings, self._workshop.scale)
        targets = [(job.target.absolute(), job) for job in plan.jobs if job.target is not None]
        for target, job in targets:
            maker = self._makers.get(target)
            if job.source is not None and maker is not None and maker != job.source:
                raise SharedTargetError(str(maker), str(job.source), target)
        self._makers |= {target: job.source for target, job in targets if job.source is not None}
        return plan

    def _told(self, outcome: Outcome) -> Iterator[Outcome]:
        """The outcome, unless there is to be another one; and what goes wrong when its input is moved."""
        path = Path(outcome.input)
        waiting = self._waiting.get(path)
        if waiting is None:
            return
        impatient = time.monotonic() - waiting.since < PATIENCE
        if impatient and isinstance(outcome, Failed) and isinstance(outcome.error, ImageError):
            waiting.failed = outcome
            return
        if isinstance(outcome, Kept) and _made_of_another(path, Path(str(outcome.output))):
            error = OtherResultError(Path(str(outcome.output)))
            outcome = Failed(outcome.input, outcome.output, outcome.asked, error, source=outcome.source)
        self._settle(waiting.found)
        if isinstance(outcome, Failed) and self._workshop.settings.fail_fast:
            self.stop()
        if not isinstance(outcome, Skipped):
            yield outcome
        if self._done is not None and isinstance(outcome, Done | Kept):
            try:
                self._move(waiting.found, path, self._done)
            except OSError as error:
                problem = OutputError(f"{path} cannot be moved to {self._done}: {error.strerror or error}.")
                yield Failed(outcome.input, outcome.output, outcome.made, problem)

    def _settle(self, found: Found) -> None:
        """Let a picture wait no more, as long as it stays what it was."""
        if found.path is not None and (waiting := self._waiting.pop(found.path, None)) is not None:
            self._known[found.path] = waiting.signature

    def _move(self, found: Found, path: Path, folder: Path) -> None:
        target = folder / found.folder / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        number = 0
        while target.exists():
            number += 1
            target = target.with_name(f"{path.stem}_{number}{path.suffix}")
        shutil.move(path, target)
        self._known.pop(path, None)


def _signature(path: Path) -> Signature | None:
    """What changes with a file; None where there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns, status.st_ino


def _made_of_another(path: Path, result: Path) -> bool:
    """Whether a result's mark tells of another input than the file that is there now."""
    header = read_header(result)
    told = None if header is None or header.provenance is None else header.provenance.settings.get("input_sha256")
    try:
        return told is not None and told != sha256(path)
    except OSError:
        return False


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{path} cannot be made: {error.strerror or error}.") from error
