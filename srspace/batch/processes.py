"""A folder on GPUs: a process for each, or several where the pictures are many and small.

Python launches what a GPU computes, reads and writes. One interpreter keeps about two GPUs at work on large pictures,
and a part of one GPU on small ones. The processes share nothing. Each is given every n-th picture, and works on them as
a run on one GPU does.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from dataclasses import replace
from queue import SimpleQueue
from statistics import median
from typing import TYPE_CHECKING, Any

from srspace import modes
from srspace.batch.outcome import Failed, Made, Outcome
from srspace.batch.pipeline import Progress, report
from srspace.batch.plan import Job, PartOfPlan, Plan
from srspace.batch.records import Recorded, Records
from srspace.batch.sending import STOP, Task
from srspace.batch.settings import BatchSettings
from srspace.errors import WorkerError

if TYPE_CHECKING:
    import torch

    from srspace.batch.remote import RemotePlan
    from srspace.batch.workshop import Workshop

FEWEST = 100
"""Pictures for each of several GPUs: a process takes several seconds to begin."""

MANY = 2000
"""Pictures for each GPU that gets several processes."""

SMALL = 24_000
"""Pixels of an input picture that leaves a GPU idle while Python handles it."""

_STARTS = 3
_SECONDS = 5.0
_CORES = 4
_MOST = 4
_MEMORY = 16 * 2**30
_LOOKED_AT = 32
_VISIBLE = "CUDA_VISIBLE_DEVICES"


def devices_for(settings: BatchSettings, plan: Plan | RemotePlan) -> list[str]:
    """The devices that get a process each; none where threads of this process do as well.

    A device that is to get several is there as often.

    Args:
        settings: of the run.
        plan: of the run.

    Raises:
        UsageError: there is no such device.
        ResourceError: likewise.
    """
    named = "," in settings.device or settings.device == "cuda:all"
    if len(plan) < (FEWEST if named else MANY):
        return []
    from srspace.devices import pick_devices  # loads torch

    devices = pick_devices(settings.device)
    if devices[0].type != "cuda" or not isinstance(plan, Plan) or not _sendable(settings, plan):
        return []
    names = [f"cuda:{device.index or 0}" for device in devices]
    if len(set(names)) == len(names):
        names *= _on_each(settings, plan, devices)
    return names if 1 < len(names) <= len(plan) // FEWEST else []


def _sendable(settings: BatchSettings, plan: Plan) -> bool:
    """Whether other processes can do what the run does."""
    mode = settings.known_mode
    usual = mode.name in modes.every() and modes.find(mode.name) == mode  # another one is known to this process alone
    return usual and all(job.target is not None for job in plan.jobs)  # standard output is this process's


def _on_each(settings: BatchSettings, plan: Plan, devices: Sequence[torch.device]) -> int:
    """How many processes keep each of different GPUs at work."""
    from srspace.devices import takes_several_processes, total_memory, usable_cores

    cores = usable_cores() // _CORES // len(devices)
    if cores < 2 or len(plan) < MANY * len(devices) or settings.sampling.max_memory is not None:
        return 1
    pixels = [width * height for width, height in plan.sizes(_LOOKED_AT)]
    if not pixels or median(pixels) > SMALL or not all(map(takes_several_processes, devices)):
        return 1
    return max(1, min(_MOST, cores, *(total_memory(device) // _MEMORY for device in devices)))


class ProcessFlow:
    """Moves the pictures of a run through processes.

    Args:
        workshop: knows the settings. It loads no weights here.
        plan: what to do.
        devices: one for each process.
        progress: called when a picture has its outcome.
        records: take a record of each, and tell what is done.
    """

    def __init__(
        self,
        workshop: Workshop,
        plan: Plan,
        devices: Sequence[str],
        progress: Callable[[Progress], None] | None,
        records: Records | None,
    ) -> None:
        self._settings, self._made, self._plan, self._devices = workshop.settings, workshop.expected(), plan, devices
        self._progress, self._records = progress, records
        self._workers: list[_Worker] = []
        self._events: SimpleQueue[_Event] = SimpleQueue()
        self._stopping = threading.Event()

    def stop(self) -> None:
        """As of :class:`srspace.batch.pipeline.Flow`."""
        self._stopping.set()
        for worker in list(self._workers):
            worker.stop()

    def outcomes(self) -> Generator[Outcome, None, None]:
        """As of :class:`srspace.batch.pipeline.Flow`."""
        recorded = None if self._records is None else self._records.recorded
        count = len(self._devices)
        try:
            for k, device in enumerate(self._devices):
                # Several on one device share its memory.
                own = self._settings.sharing_memory(self._devices.count(device))
                indices = range(k, len(self._plan), count)
                self._workers.append(_Worker(own, self._plan, indices, device, recorded, self._events))
            for index in range(len(self._plan)):
                worker = self._workers[index % count]
                while (not worker.told or not self._events.empty()) and not self._stopping.is_set():
                    self._take()
                if self._stopping.is_set():
                    break
                yield self._reported(index, worker.told.popleft())
            while any(not worker.over for worker in self._workers if self._stopping.is_set()):
                self._take()
            for worker in self._workers:
                while worker.told:
                    yield self._reported(len(self._plan) - 1, worker.told.popleft())
        finally:
            for worker in self._workers:
                worker.stop()
            for worker in self._workers:
                worker.end()

    def _take(self) -> None:
        """Take what some worker tells next, whatever its turn, for a record of it is to be there at once."""
        worker, told = self._events.get()
        if isinstance(told, Exception):
            raise told
        if told is None:
            if self._stopping.is_set() or not worker.indices:
                worker.over = True
            elif not worker.start_again():
                worker.over = True
                for decide in PartOfPlan(self._plan, worker.indices).decisions(self._made):
                    if self._stopping.is_set():
                        break
                    self._add(worker, _failed(decide(), self._made, WorkerError(worker.device, _STARTS)))
            return
        worker.indices, worker.starts = worker.indices[1:], 1
        self._add(worker, told)

    def _add(self, worker: _Worker, outcome: Outcome) -> None:
        worker.told.append(outcome)
        if self._records is not None:
            self._records.add(outcome)
        if self._settings.fail_fast and isinstance(outcome, Failed):
            self.stop()

    def _reported(self, index: int, outcome: Outcome) -> Outcome:
        report(self._progress, outcome, index, len(self._plan))
        return outcome


class _Worker:
    """A process at work on every n-th picture.

    Attributes:
        device: where it computes.
        indices: of the pictures that it has told nothing of.
        told: what it has told, and nobody has asked for yet.
        over: whether it tells nothing more.
        starts: how often it was begun since it told something.
    """

    def __init__(
        self, settings: BatchSettings, plan: Plan, indices: range, device: str, recorded: Recorded | None,
        events: SimpleQueue[_Event],
    ) -> None:  # fmt: skip
        self._settings, self._plan, self._recorded, self._events = settings, plan, recorded, events
        self.device, self.indices = device, indices
        self.told: deque[Outcome] = deque()
        self.over, self.starts = False, 0
        self._start()

    def stop(self) -> None:
        """Ask it to end soon; it may be in the middle of anything."""
        self._asked.put(STOP)

    def start_again(self) -> bool:
        """Go on with the rest of the pictures; returns whether it is worth while."""
        if self.starts == _STARTS:
            return False
        self.end()
        self._start()
        return True

    def end(self) -> None:
        """End it, and wait for that; what it is writing is given a few seconds."""
        self.stop()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_SECONDS)
        self._process.kill()
        self._process.wait()
        self._asked.put(b"")
        for thread in self._threads:
            thread.join()

    def _start(self) -> None:
        self.starts += 1
        # A group of its own: what is typed at the terminal is for this process.
        self._process = subprocess.Popen(
            [sys.executable, "-m", "srspace.batch.worker"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            env=_environment(self.device), start_new_session=True,
        )  # fmt: skip
        kind, _ = _visible(self.device)
        local = replace(self._settings, device=kind, records=None, resume=None, fail_fast=False)
        self._asked = SimpleQueue[bytes]()
        self._asked.put(pickle.dumps(Task(local, PartOfPlan(self._plan, self.indices), self._recorded)))
        self._threads = [
            threading.Thread(target=self._read, args=(self._process.stdout,), daemon=True),
            threading.Thread(target=_write, args=(self._process.stdin, self._asked), daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def _read(self, pipe: Any) -> None:
        """Take what it tells as it comes, so that it never waits for others; None at the end."""
        with pipe:
            try:
                while told := pickle.load(pipe):
                    (one,) = told
                    self._events.put((self, one if isinstance(one, Exception) else self._named(one)))
            except Exception:  # it died, and what it was about to tell is cut short
                pass
        self._events.put((self, None))

    def _named(self, outcome: Outcome) -> Outcome:
        """With the device as this process calls it."""
        if outcome.made.device is None:
            return outcome
        return replace(outcome, made=replace(outcome.made, device=self.device))


_Event = tuple[_Worker, Outcome | Exception | None]


def _write(pipe: Any, asked: SimpleQueue[bytes]) -> None:
    """Hand on what a process is asked; a task waits until it has begun."""
    with suppress(OSError), pipe:  # it may have ended
        while data := asked.get():
            pipe.write(data)
            pipe.flush()


def _failed(decided: Job | Outcome, made: Made, error: Exception) -> Outcome:
    return Failed(decided.input, decided.output, made, error) if isinstance(decided, Job) else decided


def _visible(device: str) -> tuple[str, str | None]:
    """What a process calls a device that is the only one it sees, and how it is made so."""
    kind, _, index = device.partition(":")
    if kind != "cuda":
        return device, None
    there = os.environ.get(_VISIBLE)
    return "cuda", index if there is None else there.split(",")[int(index)]


def _environment(device: str) -> dict[str, str]:
    _, seen = _visible(device)
    added = {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    if seen is not None:
        # Helpers of operations on the CPU wait busily, one for each core.
        added |= {_VISIBLE: seen, "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", str(_CORES))}
    return os.environ | added
