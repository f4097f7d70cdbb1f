"""Changes of shape: squeezing space into channels, and splitting channels off as latents."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from srspace.models.flow.coupling import ScaledConv2d


class Squeeze2d(nn.Module):
    """``(B, C, H, W)`` to ``(B, 4C, H/2, W/2)``, channel order (c, dy, dx) with c slowest. Volume-preserving."""

    def forward(self, x: Tensor) -> Tensor:
        return F.pixel_unshuffle(x, 2)

    def inverse(self, y: Tensor) -> Tensor:
        return F.pixel_shuffle(y, 2)


class Split2d(nn.Module):
    """Turn half of the channels into a standard-normal latent whose mean and scale the other half predicts.

    Args:
        channels: C of the ``(B, C, H, W)`` input; the first ``C // 2`` pass on.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.kept = channels // 2
        self.conv = ScaledConv2d(self.kept, 2 * (channels - self.kept))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Split ``x`` into what passes on and a latent; returns both and the log-determinant ``(B,)``."""
        kept, taken = x[:, : self.kept], x[:, self.kept :]
        mean, logs = self._prior(kept)
        return kept, (taken - mean) * (-logs).exp(), -logs.sum((1, 2, 3))

    def inverse(self, kept: Tensor, latent: Tensor) -> Tensor:
        mean, logs = self._prior(kept)
        return torch.cat((kept, latent * logs.exp() + mean), 1)

    def _prior(self, kept: Tensor) -> tuple[Tensor, Tensor]:
        out = self.conv(kept.to(self.conv.weight.dtype))
        return out[:, 0::2], out[:, 1::2]
