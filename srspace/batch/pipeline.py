"""Pictures on their way through the stages of :mod:`srspace.batch.engine`, several at a time.

Threads read ahead and write behind while one thread a device computes, so that no device waits for a disk. What is
decoded and not yet computed, and what is computed and not yet written, is bounded in bytes. Outcomes come in the order
of the inputs. Whatever happens to a picture ends in its outcome; only an interruption, or weights that are missing or
damaged, end the run.

The loop that asks for outcomes moves the pictures from stage to stage: all that is not done in :class:`_Threads` is
done by one thread.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from queue import SimpleQueue
from typing import Any, NamedTuple, Protocol, TypeVar

import psutil

from srspace.batch.engine import Computed, Computer, Decoded, Reader, Writer
from srspace.batch.outcome import Done, Failed, Kept, Made, Outcome, Source
from srspace.batch.plan import DecidedPlan, Job, PartOfPlan, Plan
from srspace.batch.records import Recorded, Records
from srspace.batch.retrying import retrying
from srspace.batch.seats import Seats
from srspace.batch.settings import BatchSettings
from srspace.errors import CheckpointError, WeightsError

WINDOW = 160
"""Pictures between the first without an outcome and the last that was looked at."""

T = TypeVar("T")

_MOST_BYTES = 2**30
_SHARE_OF_MEMORY = 1 / 8
_SHARE_OF_LIMIT = 1 / 16
_BYTES_A_PIXEL = 16  # red, green, blue and alpha in float32
_MOST_THREADS = 16
_MOST_TOGETHER = 64
_FATAL = (WeightsError, CheckpointError)


@dataclass(frozen=True)
class Progress:
    """How far a run has come.

    Attributes:
        name: the picture at work, as a record names it.
        index: how many pictures come before it.
        total: how many there are, earlier results included.
        share: of this picture that is done, from 0 to 1.
    """

    name: str
    index: int
    total: int
    share: float


def report(progress: Callable[[Progress], None] | None, outcome: Outcome, index: int, total: int) -> None:
    """Tell of a picture that was worked on elsewhere, when it has its outcome.

    Args:
        progress: called with that; or None.
        outcome: of the picture.
        index: how many pictures come before it.
        total: how many there are.
    """
    if progress is not None and isinstance(outcome, Done | Failed):
        progress(Progress(outcome.input, index, total, 1.0))


class Stages(NamedTuple):
    """What is done with pictures.

    Attributes:
        read: the first stage, for several threads.
        computers: the second stage, once for each device; each works on one picture, or on groups of small ones, at a
            time, or several on one.
        write: the third stage, for several threads.
    """

    read: Reader
    computers: Sequence[Computer]
    write: Writer


class Flow(Protocol):
    """Moves the pictures of a run: :class:`Pipeline` here, another one elsewhere."""

    def outcomes(self) -> Generator[Outcome, None, None]:
        """The outcomes in the order of the inputs; closing this ends the run now."""

    def stop(self) -> None:
        """End the run soon; for other threads."""


class Run(Iterator[Outcome]):
    """The outcomes of a run, as they are asked for; ``len`` tells how many there will be.

    Args:
        total: how many there will be.
        flow: moves the pictures.
        records: closed at the end; or None.
    """

    def __init__(self, total: int, flow: Flow, records: Records | None = None) -> None:
        self._total, self._flow, self._closed = total, flow, records
        self._outcomes = flow.outcomes()

    def __len__(self) -> int:
        return self._total

    def __next__(self) -> Outcome:
        try:
            return next(self._outcomes)
        except BaseException:
            self.close()
            raise

    def stop(self) -> None:
        """End the run soon; for other threads and signal handlers.

        Pictures that are being written are finished, and their outcomes are the last ones. What is being computed is
        given up at its next step, and nothing else is begun.
        """
        self._flow.stop()

    def close(self) -> None:
        """End the run now, without further outcomes; nothing is half-written, and no thread is left."""
        self._outcomes.close()
        if self._closed is not None:
            self._closed.close()


@dataclass(eq=False)
class _Slot:
    """A picture on its way.

    Attributes:
        index: its number.
        job: what is to be done, once that is decided.
        decoded: what was read, until it is computed.
        made: with what its result is made, and from what, once it was read.
        outcome: what became of it.
        begun: whether its beginning was told.
        settled: whether nothing more is done with it.
        waits: whether it waits for its turn to be read or, where it is decoded, to be computed.
        coming: whether it is being read.
        together: how many like it are worth waiting for, once it was asked.
    """

    index: int
    job: Job | None = None
    decoded: Decoded | None = None
    made: tuple[Made, Source] | None = None
    outcome: Outcome | None = None
    begun: bool = False
    settled: bool = False
    waits: bool = False
    coming: bool = False
    together: int | None = None


@dataclass
class _Room:
    """Bytes that may be taken; whoever needs more than all gets them where nothing else is taken."""

    limit: float
    taken: dict[_Slot, float] = field(default_factory=dict)

    def take(self, slot: _Slot, size: float) -> bool:
        """Take ``size`` bytes for a picture, if they are there."""
        if self.taken and sum(self.taken.values()) + size > self.limit:
            return False
        self.taken[slot] = size
        return True

    def give_back(self, slot: _Slot) -> None:
        self.taken.pop(slot, None)


class _GivenUpError(Exception):
    """The run ends, and what was being computed with it."""


class _Threads:
    """The threads of a run.

    Args:
        computing: how many compute.
        on_gpu: whether they do so on GPUs.
    """

    def __init__(self, computing: int, *, on_gpu: bool) -> None:
        from srspace.devices import compute_alone, usable_cores  # loads torch, as the stages have

        count = max(2, min(_MOST_THREADS, usable_cores()))
        self.read = ThreadPoolExecutor(count, "srspace-read", compute_alone)
        self.compute = ThreadPoolExecutor(computing, "srspace-compute", compute_alone if on_gpu else None)
        self.write = ThreadPoolExecutor(count, "srspace-write", compute_alone)

    def end(self, *, at_once: bool) -> None:
        """End them, and wait for it; ``at_once``: for what is being written alone, for computing may take long."""
        for pool in (self.read, self.compute, self.write):
            pool.shutdown(wait=False, cancel_futures=True)
        for pool in (self.write,) if at_once else (self.read, self.compute, self.write):
            pool.shutdown()


class Pipeline:
    """Moves the pictures of a run through the stages, in threads of this process.

    Args:
        plan: what to do.
        stages: what it is done with.
        made: with what results are made, as far as that is known before any picture is read.
        settings: of the run.
        progress: called, by the thread that asks for outcomes, when a picture begins, while it is computed, and when
            it has its outcome.
        records: take a record of each.
    """

    def __init__(
        self,
        plan: Plan | PartOfPlan | DecidedPlan,
        stages: Stages,
        made: Made,
        settings: BatchSettings,
        progress: Callable[[Progress], None] | None = None,
        records: Records | Recorded | None = None,
    ) -> None:
        self._total, self._settings, self._records, self._made = len(plan), settings, records, made
        self._planned = enumerate(plan.decisions(made))
        self._stages, self._progress = stages, progress
        self._seats = Seats(stages.computers)
        self._slots: deque[_Slot] = deque()
        self._events: SimpleQueue[Callable[[], None]] = SimpleQueue()
        limit = _bytes_in_flight(settings, made.device)
        self._ahead, self._behind = _Room(limit), _Room(limit)
        self._stopping = False
        self._fatal: Exception | None = None

    def stop(self) -> None:
        """As of :class:`Flow`."""
        self._stopping = True
        self._events.put(lambda: None)

    def outcomes(self) -> Generator[Outcome, None, None]:
        """As of :class:`Flow`."""
        self._threads = _Threads(self._seats.most, on_gpu=all(computer.on_gpu for computer in self._stages.computers))
        at_once = False
        try:
            while True:
                self._move()
                while self._slots and self._slots[0].settled:
                    slot = self._slots.popleft()
                    if slot.outcome is not None:
                        yield self._told(slot, slot.outcome)
                    self._move()
                if not self._slots:
                    break
                try:
                    self._events.get()()
                except _FATAL as error:
                    self._fatal, self._stopping = error, True
            if self._fatal is not None:
                raise self._fatal
        except KeyboardInterrupt:
            at_once = True
            raise
        finally:
            self._stopping = True
            self._threads.end(at_once=at_once)

    def _told(self, slot: _Slot, outcome: Outcome) -> Outcome:
        if not isinstance(outcome, Done | Failed):
            return outcome
        self._begin(slot, outcome.input)
        self._report(slot, outcome.input, 1.0)
        return outcome

    def _move(self) -> None:
        """Begin all that can be begun."""
        if self._stopping:
            for slot in self._slots:
                if slot not in self._behind.taken:
                    slot.settled = True
            return
        while len(self._slots) < WINDOW and (planned := next(self._planned, None)) is not None:
            index, decide = planned
            slot = _Slot(index)
            self._slots.append(slot)
            self._threads.read.submit(decide).add_done_callback(self._then(self._decided, slot))
        for slot in self._slots:
            if slot.job is not None and slot.decoded is None and slot.waits and not self._read(slot, slot.job):
                break
        while (computer := self._seats.next_idle) and (group := self._next_group(computer)):
            self._compute(group, computer)
        for computer in self._seats.with_room:
            if group := self._next_group(computer, fewest=2):
                self._compute(group, computer)

    def _decided(self, slot: _Slot, future: Future[Job | Outcome]) -> None:
        decision = future.result()
        if isinstance(decision, Outcome):
            self._settle(slot, decision)
        else:
            slot.job, slot.waits = decision, True

    def _read(self, slot: _Slot, job: Job) -> bool:
        """Have a picture read, if there is room for it."""
        width, height = job.size or (0, 0)
        if not self._ahead.take(slot, width * height * _BYTES_A_PIXEL):
            return False
        slot.waits, slot.coming = False, True
        read = partial(self._stages.read, job, self._records)
        if job.streamed:  # here, where waiting for the other end of a pipe can be interrupted
            self._events.put(partial(self._was_read, slot, _over(read)))
        else:
            future = self._threads.read.submit(self._again, read)
            future.add_done_callback(self._then(self._was_read, slot))
        return True

    def _was_read(self, slot: _Slot, future: Future[Decoded | Kept]) -> None:
        slot.coming = False
        result = self._result(slot, future)
        if isinstance(result, Decoded):
            slot.decoded, slot.made, slot.waits = result, (result.made, result.source), True
        elif result is not None:
            self._settle(slot, result)

    def _next_group(self, computer: Computer, fewest: int = 1) -> list[_Slot]:
        """The next picture to compute, and those that can be computed together with it; none if they are too few."""
        ready = [slot for slot in self._slots if slot.decoded is not None and slot.waits]
        if not ready or ready[0].decoded is None:
            return []
        first = ready[0].decoded
        alike = [slot for slot in ready if slot.decoded is not None and computer.alike(first, slot.decoded)]
        if len(alike) < fewest or self._better_later(ready[0], first, len(alike), computer):
            return []
        most = 1 if len(alike) == 1 else self._at_a_time(computer, first, len(alike))
        size = first.still.width * first.still.height * _BYTES_A_PIXEL * self._stages.read.scale**2
        group: list[_Slot] = []
        fair = -(-len(alike) // self._seats.devices)  # no device is to wait while another has many
        for slot in alike[: min(most, fair)]:
            if not self._behind.take(slot, size):
                break
            group.append(slot)
        if len(group) < fewest:
            for slot in group:
                self._behind.give_back(slot)
            return []
        return group

    def _devices_for(self, group: list[_Slot]) -> int:
        """How many idle devices compute a group: a picture alone has those that no other one will need."""
        if len(group) > 1 or len(self._slots) == WINDOW:
            return 1
        others = sum(not slot.settled and slot not in self._behind.taken for slot in self._slots)
        return max(1, self._seats.idle // (1 + others))

    def _better_later(self, slot: _Slot, decoded: Decoded, here: int, computer: Computer) -> bool:
        """Whether a group waits, because more that may belong to it are being read than are here.

        To compute a few takes about as long as to compute many, and as much of the processor, which then reads slower.
        """
        size = (decoded.still.width, decoded.still.height)
        coming = 0 if decoded.alone else sum(s.coming and s.job is not None and s.job.size == size for s in self._slots)
        if here >= coming:
            return False
        if slot.together is None:
            slot.together = self._at_a_time(computer, decoded, WINDOW)
        return here < slot.together

    def _at_a_time(self, computer: Computer, decoded: Decoded, most: int) -> int:
        with suppress(*_FATAL):  # computing the first will tell
            return computer.at_a_time(decoded, min(most, _MOST_TOGETHER))
        return 1

    def _compute(self, group: list[_Slot], computer: Computer) -> None:
        if len(group) > 1:
            self._seats.take_for_group(computer)
            computers = [computer]
        else:
            computers = self._seats.take_idle(self._devices_for(group))
        decoded = [slot.decoded for slot in group if slot.decoded is not None]
        for slot, one in zip(group, decoded, strict=True):
            slot.waits = False
            self._begin(slot, one.job.input)
        share = partial(self._share, group[0], decoded[0].job.input)
        future = self._threads.compute.submit(self._computed_all, computers, decoded, share)
        future.add_done_callback(self._then(self._computed, group, computers))

    def _computed_all(
        self, computers: list[Computer], group: list[Decoded], share: Callable[[float], None]
    ) -> list[Computed | Exception]:
        if len(group) > 1:
            try:
                return [*computers[0].upscale_many(group, share)]
            except (*_FATAL, _GivenUpError):
                raise
            except Exception:  # one of them is at fault, or all are too much; each alone will tell
                pass
        return [self._computed_alone(computers, decoded, share) for decoded in group]

    def _computed_alone(
        self, computers: list[Computer], decoded: Decoded, share: Callable[[float], None]
    ) -> Computed | Exception:
        computer, *beside = computers
        try:
            return self._again(partial(computer, decoded, share, beside))
        except (*_FATAL, _GivenUpError):
            raise
        except Exception as error:
            return error

    def _computed(
        self, group: list[_Slot], computers: list[Computer], future: Future[list[Computed | Exception]]
    ) -> None:
        self._seats.give_back(computers)
        if isinstance(future.exception(), (_GivenUpError, *_FATAL)):
            for slot in group:
                self._give_back(slot)
                slot.settled = True
        if isinstance(future.exception(), _GivenUpError):
            return
        for slot, result in zip(group, future.result(), strict=True):
            self._ahead.give_back(slot)
            slot.decoded = None
            if isinstance(result, Exception):
                self._fail(slot, result)
                continue
            write = self._threads.write.submit(self._again, partial(self._stages.write, result))
            write.add_done_callback(self._then(self._written, slot))

    def _written(self, slot: _Slot, future: Future[Done]) -> None:
        result = self._result(slot, future)
        if result is not None:
            self._settle(slot, result)

    def _result(self, slot: _Slot, future: Future[T]) -> T | None:
        """What a stage returned; where it failed, nothing, and that is the picture's outcome."""
        try:
            return future.result()
        except _FATAL:
            raise
        except Exception as error:  # one picture must not end the run of many
            self._fail(slot, error)
        return None

    def _fail(self, slot: _Slot, error: Exception) -> None:
        if slot.job is None:
            raise error
        made, source = slot.made or (self._made, None)
        self._settle(slot, Failed(slot.job.input, slot.job.output, made, error, source=source))

    def _settle(self, slot: _Slot, outcome: Outcome) -> None:
        if slot.settled:
            return
        self._give_back(slot)
        slot.outcome, slot.settled, slot.decoded = outcome, True, None
        if self._records is not None:
            self._records.add(outcome)
        if self._settings.fail_fast and isinstance(outcome, Failed):
            self._stopping = True

    def _give_back(self, slot: _Slot) -> None:
        self._ahead.give_back(slot)
        self._behind.give_back(slot)

    def _again(self, work: Callable[[], T]) -> T:
        return retrying(work, self._settings.retries, goes_on=lambda: not self._stopping)

    def _then(self, step: Callable[..., None], *known: Any) -> Callable[[Future[Any]], None]:
        """What has the loop take a step when a stage is over."""
        return lambda future: None if future.cancelled() else self._events.put(partial(step, *known, future))

    def _share(self, slot: _Slot, name: str, share: float) -> None:
        if self._stopping:
            raise _GivenUpError
        if self._progress is not None:
            self._events.put(partial(self._report, slot, name, share))

    def _begin(self, slot: _Slot, name: str) -> None:
        if not slot.begun:
            slot.begun = True
            self._report(slot, name, 0.0)

    def _report(self, slot: _Slot, name: str, share: float) -> None:
        if self._progress is not None:
            self._progress(Progress(name, slot.index, self._total, share))


def _over(work: Callable[[], T]) -> Future[T]:
    """The future of what is done at once."""
    future: Future[T] = Future()
    try:
        future.set_result(work())
    except Exception as error:
        future.set_exception(error)
    return future


def _bytes_in_flight(settings: BatchSettings, device: str | None) -> float:
    """Bytes that decoded pictures may take, and results again, while others are read, computed or written."""
    limit = settings.sampling.max_memory
    if limit is not None and device is not None and device.startswith("cpu"):
        return limit * _SHARE_OF_LIMIT
    return min(_MOST_BYTES, _SHARE_OF_MEMORY * psutil.virtual_memory().available)
