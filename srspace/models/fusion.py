"""The fusion network: a small ConvNet that merges a stack of candidates into one picture."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from srspace.config import FusionConfig


class ResidualBlock(nn.Module):
    """conv, relu, conv inside a residual."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.conv2(torch.relu(self.conv1(x)))
        return out


class FusionNet(nn.Module):
    """Stack of candidates, convolution, residual blocks, RGB (the paper's Fusion-L1 and Fusion-LPIPS).

    Args:
        config: sizes; ``residual`` adds the mean of the stack, so that training starts at the ensemble mean.
    """

    def __init__(self, config: FusionConfig) -> None:
        super().__init__()
        self.config = config
        self.head = nn.Conv2d(3 * config.samples, config.channels, 3, padding=1)
        self.blocks = nn.Sequential(*(ResidualBlock(config.channels) for _ in range(config.blocks)))
        self.tail = nn.Conv2d(config.channels, 3, 3, padding=1)
        if config.residual:
            nn.init.zeros_(self.tail.weight)
            nn.init.zeros_(self.tail.bias)  # type: ignore[arg-type]

    @property
    def radius(self) -> int:
        """How many pixels away an input pixel can matter."""
        return 2 + 2 * self.config.blocks

    def forward(self, candidates: Tensor) -> Tensor:
        """Merge ``(B, samples, 3, H, W)`` candidates in [0, 1] into ``(B, 3, H, W)``, unclamped.

        Raises:
            ValueError: the stack has another number of candidates than the network was built for.
        """
        if candidates.ndim != 5 or candidates.shape[1:3] != (self.config.samples, 3):
            raise ValueError(f"expected (B, {self.config.samples}, 3, H, W), not {tuple(candidates.shape)}")
        x = torch.relu(self.head(candidates.flatten(1, 2).to(self.head.weight.dtype)))
        out: Tensor = self.tail(self.blocks(x)).float()
        return out + candidates.mean(1).float() if self.config.residual else out
