"""A network with a dial merges the candidates: anywhere on the perception-distortion plane."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from srspace.errors import UsageError
from srspace.models import DialFusion, replay
from srspace.modes import TileInputs


def make(count: int, inputs: TileInputs, network: nn.Module | None, balance: float) -> DialSink:
    if not isinstance(network, DialFusion):
        raise UsageError(f"this mode needs a network with a dial, not {type(network).__name__}.")
    return DialSink(count, inputs, network, balance)


class DialSink:
    """Streams what the network takes of the candidates: memory does not grow with their number.

    Args:
        count: N.
        inputs: of the tile.
        network: on the tile's device.
        balance: from 0 (highest fidelity) to 1 (most natural).
    """

    def __init__(self, count: int, inputs: TileInputs, network: DialFusion, balance: float) -> None:
        self.count, self.network, self.balance = count, network, balance
        self._lr, self._regression, self._features = inputs.lr, inputs.regression, inputs.features
        self._lead: Tensor | None = None
        self._sum: Tensor | None = None
        self._squares: Tensor | None = None

    def add(self, indices: Sequence[int], images: Tensor) -> None:
        if indices[0] == 0:
            self._lead = images[0].clone()
        if self.count == 1:
            return
        # Differences from the regression are small, and so are the errors of their squares' sum. Where a replacement
        # is to follow, images are all zero.
        there = images.flatten(1).any(1)[:, None, None, None]
        differences = torch.where(there, images - self._regression, 0.0)
        total, squares = differences.sum(0), differences.square().sum(0)
        self._sum = total if self._sum is None else self._sum.add_(total)
        self._squares = squares if self._squares is None else self._squares.add_(squares)

    def result(self) -> Tensor:
        if self._lead is None:
            raise ValueError("the network needs a candidate")
        if self._sum is None or self._squares is None:
            mean, deviation = self._lead, torch.zeros_like(self._lead)
        else:
            offset = self._sum.div_(self.count)
            deviation = self._squares.div_(self.count).sub_(offset.square()).clamp_min_(0).sqrt_()
            mean = offset.add_(self._regression)
        parts = (self._lead, mean, deviation, self._regression, self._features, self._lr)
        balance = self._lr.new_full((1,), self.balance)
        batch = [part[None] for part in parts]
        image = replay.run(self.network, self._lr[0].numel(), *batch, balance)[0]
        if self.network.head.weight.dtype == torch.float16 and not torch.isfinite(image).all():
            # The encoder's features went beyond float16's range.
            image = copy.deepcopy(self.network).float()(*batch, balance)[0]
        return image.clamp_(0, 1)
