"""Candidates drawn ahead and kept as uint8, so that fusion training does not wait for sampling."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from srspace.data.augment import oriented
from srspace.data.pools import Pool
from srspace.training.candidates import CandidateSource
from srspace.training.processes import divided

_AT_A_TIME = 16


@dataclass(frozen=True)
class CandidatePool:
    """Patches, and the candidates of each.

    Attributes:
        candidates: ``(P, N, 3, S, S)`` uint8.
        hr: ``(P, 3, S, S)`` uint8.
    """

    candidates: Tensor
    hr: Tensor

    def __len__(self) -> int:
        return self.hr.shape[0]

    @classmethod
    def joined(cls, pools: Sequence[CandidatePool]) -> CandidatePool:
        """One pool of the patches of several, which have as many candidates."""
        return cls(torch.cat([p.candidates for p in pools]), torch.cat([p.hr for p in pools]))

    @classmethod
    def drawn(
        cls, source: CandidateSource, hr: Tensor, lr: Tensor, samples: int, temperatures: Sequence[float]
    ) -> CandidatePool:
        """Candidates of given patches.

        Args:
            source: the flow.
            hr: ``(P, 3, S, S)`` in [0, 1].
            lr: its LR version.
            samples: N.
            temperatures: each patch uses one of them at random.
        """
        parts = [source.draw(part, samples, temperatures, redraw=True).candidates for part in lr.split(_AT_A_TIME)]
        return cls(torch.cat([_bytes(part) for part in parts]), _bytes(hr))

    def replace(self, start: int, fresh: CandidatePool) -> None:
        """Overwrite the patches from ``start`` on (wrapping around) with fresh ones."""
        places = torch.arange(start, start + len(fresh), device=self.hr.device) % len(self)
        self.candidates[places], self.hr[places] = fresh.candidates, fresh.hr

    def draw(self, count: int, samples: int) -> tuple[Tensor, Tensor]:
        """A batch of stacks in random order, with random flips and rotations.

        Args:
            count: B, the number of patches.
            samples: n, candidates of each.

        Returns:
            ``(B, n, 3, S, S)`` and ``(B, 3, S, S)``, float32 in [0, 1].
        """
        device = self.hr.device
        index = torch.randint(self.hr.shape[0], (count,), device=device)
        order = torch.rand(count, self.candidates.shape[1], device=device).argsort(1)[:, :samples]
        stacks, hr = self.candidates[index[:, None], order], self.hr[index]
        masks = [torch.rand(count, device=device) < 0.5 for _ in range(3)]
        return oriented(stacks, masks).float() / 255, oriented(hr, masks).float() / 255


@dataclass(frozen=True)
class FlowPictures:
    """A flow and the pictures that it draws candidates of, which it was not trained on itself.

    Attributes:
        source: the flow.
        pool: the pictures.
    """

    source: CandidateSource
    pool: Pool


@dataclass(frozen=True)
class CandidateDrawing:
    """How candidates are drawn for a training.

    Attributes:
        flows: each gives its share of the patches.
        samples: N, candidates of a patch.
        patch: side of an HR patch, in pixels.
        temperatures: each patch uses one of them at random.
    """

    flows: tuple[FlowPictures, ...]
    samples: int
    patch: int
    temperatures: tuple[float, ...] = (0.9,)

    def draw(self, count: int) -> CandidatePool:
        """Candidates of so many fresh patches."""
        counts = [(count + i) // len(self.flows) for i in range(len(self.flows))]
        # A batch at a time: a thousand patches in float32 would take more room than the pool itself.
        parts = [
            (flow, min(_AT_A_TIME, most - done))
            for flow, most in zip(self.flows, counts, strict=True)
            for done in range(0, most, _AT_A_TIME)
        ]

        def make(k: int) -> tuple[Tensor, Tensor]:
            flow, n = parts[k]
            pool = CandidatePool.drawn(flow.source, *flow.pool.draw(n, self.patch), self.samples, self.temperatures)
            return pool.candidates, pool.hr

        drawn = divided(len(parts), make, self.flows[0].pool.device)
        return CandidatePool.joined([CandidatePool(candidates, hr) for candidates, hr in drawn])


def _bytes(images: Tensor) -> Tensor:
    return (images * 255).round().to(torch.uint8)
