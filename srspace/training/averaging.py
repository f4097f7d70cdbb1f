"""The moving average of the weights, which is smoother than any single iterate and is what gets saved."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class WeightAverage:
    """Exponential moving average of parameters.

    Args:
        parameters: followed, and never changed but inside :meth:`in_place`.
        decay: of the average, in [0, 1). It is smaller in the first iterations, so that the start is soon forgotten.
    """

    def __init__(self, parameters: Sequence[nn.Parameter], decay: float) -> None:
        self.parameters, self.decay = list(parameters), decay
        self.values = [p.detach().clone() for p in self.parameters]
        self._decay = torch.zeros((), device=self.parameters[0].device)

    def set_iteration(self, iteration: int) -> None:
        """Set the decay for the update that follows; the number stays on the device, where a graph can read it."""
        self._decay.fill_(min(self.decay, (1 + iteration) / (10 + iteration)))

    @torch.no_grad()
    def update(self) -> None:
        """Take in the parameters as they are now."""
        torch._foreach_mul_(self.values, self._decay)
        weighted = torch._foreach_mul([p.detach() for p in self.parameters], 1 - self._decay)
        torch._foreach_add_(self.values, weighted)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Hold the average in the parameters for the length of a block."""
        kept = [p.detach().clone() for p in self.parameters]
        self._set(self.values)
        try:
            yield
        finally:
            self._set(kept)

    @torch.no_grad()
    def _set(self, values: Sequence[Tensor]) -> None:
        # Not through p.data: version counters must move for whoever caches by them, and a replayed CUDA graph has
        # changed weights without moving any.
        for p, value in zip(self.parameters, values, strict=True):
            p.copy_(value)
