"""A small network that says what was done to a picture, from statistics of its pixels."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from srspace.config import AssessorConfig
from srspace.models.statistics import COUNT, statistics

_PRIOR = 0.05  # weight of what is thought of a picture that tells nothing, beside crops of weights around 1
_FARTHEST = 4.0  # what is stranger than that, in standard deviations, counts no more


class Findings(NamedTuple):
    """What is found in P pictures, each ``(P,)``.

    Attributes:
        damaged: logit; positive where the weights for damaged pictures suit a picture better.
        compressed: logit of lossy compression.
        noise: log(1 + standard deviation in 8-bit levels).
        fine: how much the finest details are sharpened (above 0) or blurred (below; -1: they are gone).
        coarse: likewise those of twice the size.
    """

    damaged: Tensor
    compressed: Tensor
    noise: Tensor
    fine: Tensor
    coarse: Tensor


class Assessor(nn.Module):
    """Gathers evidence over a picture.

    Every crop has an opinion and a weight, so that flat parts of a picture, which tell nothing, do not outvote the
    others; where nothing tells anything, a constant opinion remains.

    Args:
        config: sizes.
    """

    centre: Tensor
    spread: Tensor

    def __init__(self, config: AssessorConfig) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("centre", torch.zeros(COUNT))
        self.register_buffer("spread", torch.ones(COUNT))
        self.head = nn.Linear(COUNT, config.width)
        self.body = nn.Linear(config.width, config.width)
        self.tail = nn.Linear(config.width, 1 + len(Findings._fields))
        self.prior = nn.Parameter(torch.zeros(len(Findings._fields)))

    def normalize(self, examples: Tensor) -> None:
        """Take the usual values of the statistics from examples ``(N, COUNT)``."""
        self.centre.copy_(examples.mean(0))
        self.spread.copy_(examples.std(0) + 1e-3)

    def forward(self, crops: Tensor, pictures: int | None = None) -> Findings:
        """Assess pictures.

        Args:
            crops: ``(P * N, 3, h, w)`` float32, 8-bit levels from 0 to 255, N crops of each picture in a row; sides
                are at least :data:`srspace.models.statistics.SMALLEST`.
            pictures: P (None: each crop is a picture of its own).
        """
        return self.judge(statistics(crops).unflatten(0, (pictures or len(crops), -1)))

    def judge(self, found: Tensor) -> Findings:
        """Assess pictures by the statistics of their crops.

        Args:
            found: ``(P, N, COUNT)``.
        """
        x = ((found - self.centre) / self.spread).clamp(-_FARTHEST, _FARTHEST)
        weight, *opinions = self.tail(F.gelu(self.body(F.gelu(self.head(x))))).unbind(-1)
        weight = F.softplus(weight)
        sums = torch.stack([weight, *(weight * opinion for opinion in opinions)], -1).mean(1)
        return Findings(*((sums[:, 1:] + _PRIOR * self.prior) / (sums[:, :1] + _PRIOR)).unbind(1))
