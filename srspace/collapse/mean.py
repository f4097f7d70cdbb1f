"""The mean of the candidates: of all pictures the one with the smallest expected squared error."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from srspace.modes import TileInputs


def make(count: int, inputs: TileInputs, network: nn.Module | None) -> MeanSink:
    return MeanSink(count)


class MeanSink:
    """Streams the mean of ``count`` candidates: memory does not grow with their number."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._sum: Tensor | None = None

    def add(self, indices: Sequence[int], images: Tensor) -> None:
        part = images.sum(0)
        self._sum = part if self._sum is None else self._sum.add_(part)

    def result(self) -> Tensor:
        if self._sum is None:
            raise ValueError("there is no candidate to average")
        return self._sum.div_(self.count)
