"""Diversity of a set of candidates, as the NTIRE 2021 challenge on learning the SR space defines it.

Lugmayr, Danelljan, Timofte, "NTIRE 2021 Learning the Super-Resolution Space Challenge", CVPRW 2021.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from srspace.metrics.context import Context
from srspace.metrics.lpips import Lpips, features
from srspace.metrics.metric import Gatherer
from srspace.metrics.registry import DIVERSITY_NET
from srspace.metrics.view import Reference, View


class Diversity:
    """Gathers per-pixel LPIPS maps of candidates, one at a time.

    The global best is the smallest mean of any map; the local best is the mean of the pixelwise minimum. The score is
    ``(global best - local best) / global best * 100``: how much better a picture could be if the best candidate were
    chosen at each pixel.
    """

    def __init__(self) -> None:
        self.count = 0
        self._local: Tensor | None = None
        self._best = float("inf")

    def update(self, distances: Tensor) -> None:
        """Add one candidate.

        Args:
            distances: its LPIPS map ``(..., H, W)`` against the reference.
        """
        self.count += 1
        self._best = min(self._best, distances.mean().item())
        self._local = distances.clone() if self._local is None else torch.minimum(self._local, distances)

    def value(self) -> float:
        """The score in percent; 0 when all candidates are the same.

        Raises:
            ValueError: there is no candidate.
        """
        if self._local is None:
            raise ValueError("there is no candidate to take the diversity of")
        if self._best <= 0:
            return 0.0
        return (self._best - self._local.mean().item()) / self._best * 100


def diversity(maps: Iterable[Tensor]) -> float:
    """The score of all ``maps`` together; see :class:`Diversity`."""
    gathered = Diversity()
    for distances in maps:
        gathered.update(distances)
    return gathered.value()


class OfCandidates:
    """The score as a column of a benchmark; candidates that several rows share are looked at once."""

    def __init__(self, network: Lpips) -> None:
        self.network, self._gathered = network, Diversity()

    def add(self, output: View, reference: Reference) -> None:
        network = self.network

        def distances() -> Tensor:
            return network.distance_map(features(network, output), features(network, reference.hr), output.size)

        self._gathered.update(output.once("diversity", distances))

    def value(self) -> float:
        return self._gathered.value()


def make(context: Context) -> Callable[[], Gatherer]:
    network: Lpips = context.network(f"lpips-{DIVERSITY_NET}")
    return lambda: OfCandidates(network)
