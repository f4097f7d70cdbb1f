"""A mode of somebody else's: all that it takes is this file."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from srspace.modes import Mode, Parameter, Sink, TileInputs


class Dial:
    """Between the mean of all candidates (0) and the first one (1)."""

    def __init__(self, count: int, balance: float) -> None:
        self.count, self.balance = count, balance
        self.total: Tensor | None = None
        self.first: Tensor | None = None

    def add(self, indices: Sequence[int], images: Tensor) -> None:
        total = images.sum(0)
        self.total = total if self.total is None else self.total + total
        if indices[0] == 0:
            self.first = images[0].clone() if self.first is None else self.first + images[0]

    def result(self) -> Tensor:
        assert self.total is not None and self.first is not None
        return torch.lerp(self.total / self.count, self.first, self.balance)


def make(count: int, inputs: TileInputs, network: nn.Module | None, *, balance: float) -> Sink:
    return Dial(count, balance)


DIAL = Mode(
    "toy-dial",
    "a dial for tests",
    f"{__name__}:make",
    samples=4,
    parameters=(Parameter("balance", 0.5, 0.0, 1.0, "0 the mean, 1 a candidate"),),
)
