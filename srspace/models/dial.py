"""A fusion network with a dial: one picture from any number of candidates, anywhere between fidelity and natural looks.

It works at LR resolution, on pixels folded into channels, so that it costs less than decoding one candidate. What it
is given of the candidates does not depend on their number or order, but for the first, the lead, whose texture it
takes up; and it sees what the encoder knows of the image.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from srspace.config import DialConfig


class ModulatedBlock(nn.Module):
    """Residual block whose input is scaled and shifted by the dial (FiLM, Perez et al., 2018, arXiv 1709.07871)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        y = torch.addcmul(shift, x, scale)
        out: Tensor = x + self.conv2(F.gelu(self.conv1(y)))
        return out


class DialFusion(nn.Module):
    """Merges candidates at a balance from 0 (highest fidelity) to 1 (most natural).

    The result is the encoder's super-resolution, plus the balance times the lead candidate's difference from it, plus
    what the network adds.

    Args:
        config: sizes.
    """

    def __init__(self, config: DialConfig) -> None:
        super().__init__()
        self.config = config
        pixels = 3 * config.scale**2
        self.dial = nn.Sequential(
            nn.Linear(1, config.embedding), nn.GELU(),
            nn.Linear(config.embedding, config.blocks * 2 * config.channels),
        )  # fmt: skip
        self.head = nn.Conv2d(4 * pixels + config.features + 3, config.channels, 3, padding=1)
        self.blocks = nn.ModuleList(ModulatedBlock(config.channels) for _ in range(config.blocks))
        self.tail = nn.Conv2d(config.channels, pixels, 3, padding=1)
        nn.init.zeros_(self.tail.weight)
        nn.init.zeros_(self.tail.bias)  # type: ignore[arg-type]

    def check(self, count: int) -> None:
        """Any number of candidates will do."""

    def consistent(self, settings: Mapping[str, float]) -> bool:
        """As of :meth:`srspace.models.Fusion.consistent`."""
        return settings.get("balance", 1.0) < self.config.consistent_below

    @property
    def radius(self) -> int:
        """How many LR pixels away an LR pixel can matter."""
        return 2 + 2 * self.config.blocks

    def forward(
        self,
        lead: Tensor,
        mean: Tensor,
        deviation: Tensor,
        regression: Tensor,
        features: Tensor,
        lr: Tensor,
        balance: Tensor,
    ) -> Tensor:
        """Merge candidates; the result is float32 and unclamped.

        Args:
            lead: the first candidate, ``(B, 3, H, W)`` in [0, 1].
            mean: of all candidates, ``(B, 3, H, W)``.
            deviation: their standard deviation (0 for a single one), ``(B, 3, H, W)``.
            regression: the encoder's own super-resolution, ``(B, 3, H, W)``.
            features: the encoder's features, ``(B, F, h, w)``.
            lr: ``(B, 3, h, w)`` in [0, 1].
            balance: ``(B,)`` in [0, 1].
        """
        dtype, scale = self.head.weight.dtype, self.config.scale
        regression, balance = regression.float(), self.config.natural_end * balance
        texture = lead.float() - regression
        high = [F.pixel_unshuffle(part.to(dtype), scale)
                for part in (regression - 0.5, 4 * texture, 4 * (mean - regression), 4 * deviation)]  # fmt: skip
        x = self.head(torch.cat([*high, features.to(dtype), lr.to(dtype) - 0.5], 1))
        modulation = self.dial(balance.to(dtype)[:, None]).unflatten(1, (len(self.blocks), 2, -1, 1, 1))
        for i, block in enumerate(self.blocks):
            x = block(x, 1 + modulation[:, i, 0], modulation[:, i, 1])
        out = F.pixel_shuffle(self.tail(x), scale).float()
        return regression + balance.float()[:, None, None, None] * texture + out
