"""A small network that says what was done to a picture, from its pixels alone.

It looks at what is left of a picture when its content is taken away: its first filters see no constant, and what they
find is squeezed, so that traces of compression and noise, a level or two high, count beside edges of a hundred levels.
The approach is that of image forensics (compare Bayar, Stamm, "Constrained convolutional neural networks: a new
approach towards general purpose image manipulation detection", IEEE TIFS, 2018).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from srspace.config import AssessorConfig

_PRIOR = 0.05  # weight of what is thought of a picture that tells nothing, beside places of weights around 1


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

    Every place of every crop has an opinion and a weight, so that flat parts of a picture, which tell nothing, do not
    outvote the others; where nothing tells anything, a constant opinion remains.

    Args:
        config: sizes.
    """

    def __init__(self, config: AssessorConfig) -> None:
        super().__init__()
        self.config = config
        width = config.channels
        self.residual = nn.Conv2d(3, config.filters, 5, bias=False)
        self.conv1 = nn.Conv2d(2 * config.filters, width, 3)
        self.conv2 = nn.Conv2d(width, width, 3)
        self.conv3 = nn.Conv2d(width, width, 3)
        self.tail = nn.Conv2d(width, 1 + len(Findings._fields), 1)
        self.prior = nn.Parameter(torch.zeros(len(Findings._fields)))

    def forward(self, crops: Tensor, pictures: int | None = None) -> Findings:
        """Assess pictures.

        Args:
            crops: ``(P * N, 3, h, w)`` float32, 8-bit levels from 0 to 255, N crops of each picture in a row; sides
                are at least 24.
            pictures: P (None: each crop is a picture of its own).
        """
        kernel = self.residual.weight
        residual = F.conv2d(crops, kernel - kernel.mean((2, 3), keepdim=True))
        x = torch.cat([torch.tanh(residual / 2), torch.log1p(residual.abs())], 1)
        x = F.avg_pool2d(F.gelu(self.conv1(x)), 2)
        x = F.avg_pool2d(F.gelu(self.conv2(x)), 2)
        weight, *opinions = self.tail(F.gelu(self.conv3(x))).unbind(1)
        weight = F.softplus(weight)
        sums = torch.stack([weight, *(weight * opinion for opinion in opinions)], 1).mean((2, 3))
        sums = sums.unflatten(0, (pictures or len(crops), -1)).mean(1)
        return Findings(*((sums[:, 1:] + _PRIOR * self.prior) / (sums[:, :1] + _PRIOR)).unbind(1))
