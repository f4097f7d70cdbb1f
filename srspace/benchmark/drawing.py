"""One drawing of candidates for all rows that can share it, on the path that upscaling takes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from types import TracebackType

from torch import Tensor

from srspace.benchmark.memory import PeakMemory
from srspace.benchmark.methods import Methods
from srspace.benchmark.rows import Row
from srspace.benchmark.stopwatch import Stopwatch
from srspace.benchmark.timing import DRAWS, SHARED, TimedModel, timed_maker
from srspace.collapse import Spool
from srspace.modes import Sink, SinkMaker, TileInputs
from srspace.sampling import Redraw, Sampler


@dataclass(frozen=True)
class Cost:
    """What an output cost.

    Attributes:
        seconds: the time that it would take alone: what candidates share, its candidates at the time that each took
            here, and merging them.
        memory: peak memory in bytes while all rows of the drawing were computed; see
            :class:`srspace.benchmark.memory.PeakMemory`.
    """

    seconds: float
    memory: int


class Drawing:
    """Draws the candidates of one image once and has every row make its outputs of them.

    A context manager: it draws when it is entered, and what it gathered is gone when it ends.

    Args:
        methods: the networks.
        lr: ``(3, h, w)`` float32 in [0, 1].
        rows: rows that draw their candidates in the same way.
        progress: called with the share done.

    Attributes:
        merging: the rows that merge candidates.
        scored: of the rows that are scored over several results, those that are kept; the others' are among them.
        redraws: candidates that were replaced.
    """

    def __init__(self, methods: Methods, lr: Tensor, rows: Sequence[Row], progress: Callable[[float], None]) -> None:
        self.methods, self.lr, self.progress = methods, lr, progress
        self.merging = [row for row in rows if not row.scored]
        # Of rows that differ in nothing but the number of results, those with fewer take the first of the others'.
        scored = sorted((row for row in rows if row.scored), key=lambda row: row.samples)
        self.scored = list({_kind(row): row for row in scored}.values())
        self.count = max(row.samples for row in rows)
        self.redraws: list[Redraw] = []
        self._images: dict[Row, Tensor] = {}
        self._spools: dict[Row, Spool] = {}
        self._seconds: dict[object, float] = {}
        self._memory = PeakMemory(methods.device)
        self._open = ExitStack()

    def __enter__(self) -> Drawing:
        with ExitStack() as opened:
            self._draw(opened)
            self._open = opened.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    def image(self, row: Row) -> Tensor:
        """The output of a row that merges candidates, ``(3, H, W)`` float32 in [0, 1] on the CPU."""
        return self._images[row]

    def results(self, row: Row) -> Iterator[Tensor]:
        """The outputs of a row that is scored over several, one by one, as :meth:`image` returns them."""
        spool = self._spools[self.spooled(row)]
        return (image for _, image in zip(range(row.samples), spool, strict=False))

    def cost(self, row: Row) -> Cost:
        """What one output of the row cost."""
        part = self._seconds.get
        draws = part(DRAWS, 0.0) / self.count
        if row.scored:
            spooled = self.spooled(row)
            own = draws + part(spooled, 0.0) / spooled.samples
        else:
            own = draws * row.samples + part(row, 0.0)
        return Cost(part(SHARED, 0.0) + own, self._memory.peak)

    def spooled(self, row: Row) -> Row:
        """The row among :attr:`scored` whose results hold those of ``row``."""
        return next(other for other in self.scored if _kind(other) == _kind(row))

    def _draw(self, opened: ExitStack) -> None:
        methods = self.methods
        height, width = (side * methods.scale for side in self.lr.shape[1:])
        makers = {row: methods.maker(row) for row in self.merging}
        for row in self.scored:
            self._spools[row] = spool = opened.enter_context(Spool(row.samples, height, width))
            makers[row] = one_by_one(methods.maker(row), spool)
        first = (self.merging or self.scored)[0]
        with self._memory:
            watch = Stopwatch(methods.device, DRAWS)
            model = TimedModel(methods.upscaler.prepared, watch)
            sampler = Sampler(model, self.lr, methods.sampling(first), progress=self.progress)
            images = sampler.collapse_all([timed_maker(maker, watch, row) for row, maker in makers.items()])
            self._seconds = watch.stop()
        self._images = dict(zip(self.merging, images, strict=False))
        self.redraws = sampler.redraws


def one_by_one(maker: SinkMaker, spool: Spool) -> SinkMaker:
    """A maker of sinks that give each candidate to a sink of its own and put what that makes of it into a spool.

    Args:
        maker: makes sinks for a single candidate.
        spool: with room for as many results as candidates are wanted.
    """
    return replace(spool.maker, make=lambda inputs: _OneByOne(maker, spool, inputs), stacked=maker.stacked)


class _OneByOne:
    def __init__(self, maker: SinkMaker, spool: Spool, inputs: TileInputs) -> None:
        self.maker, self.spool, self.inputs = maker, spool, inputs
        self.filled: Sink = spool.maker.make(inputs)

    def add(self, indices: Sequence[int], images: Tensor) -> None:
        for index, image in zip(indices, images, strict=True):
            sink = self.maker.make(self.inputs)
            sink.add([0], image[None])
            self.filled.add([index], sink.result()[None])

    def result(self) -> Tensor:
        return self.filled.result()


def _kind(row: Row) -> Row:
    return replace(row, samples=1)
