"""One drawing for several sinks: the first few candidates for one, more of them for another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from torch import Tensor

from srspace.modes import SinkMaker, TileInputs


class Tee:
    """Hands the candidates of one tile to several sinks.

    Args:
        makers: make them; each takes as many of the first candidates as its maker says.
        inputs: what is known of the tile.
    """

    def __init__(self, makers: Sequence[SinkMaker], inputs: TileInputs) -> None:
        self._sinks = [(maker.count, maker.make(inputs)) for maker in makers]

    def add(self, indices: Sequence[int], images: Tensor) -> None:
        """Hand on candidates; arguments as of :class:`srspace.modes.Sink`."""
        for count, sink in self._sinks:
            taken = sum(index < count for index in indices)
            if taken:
                sink.add(indices[:taken], images[:taken])

    def results(self) -> Iterator[Tensor]:
        """The result of each; a sink's memory is free once its result is there."""
        while self._sinks:
            yield self._sinks.pop(0)[1].result()
