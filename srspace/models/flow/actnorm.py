"""Activation normalisation: an invertible affine map per channel (Kingma and Dhariwal, 2018)."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ActNorm2d(nn.Module):
    """``y = (x + bias) * exp(logs)`` per channel.

    Args:
        channels: C of the ``(B, C, H, W)`` input.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(1, channels, 1, 1))
        self.logs = nn.Parameter(torch.zeros(1, channels, 1, 1))
        self.initialize_on_next_forward = False

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Normalise ``x``; returns the result and the log-determinant ``(B,)``."""
        if self.initialize_on_next_forward:
            self._initialize(x)
        log_det = self.logs.sum() * x.shape[2] * x.shape[3]
        return (x + self.bias) * self.logs.exp(), log_det.expand(x.shape[0])

    def inverse(self, y: Tensor) -> Tensor:
        return y * (-self.logs).exp() - self.bias

    @torch.no_grad()
    def _initialize(self, x: Tensor) -> None:
        std, mean = torch.std_mean(x, dim=(0, 2, 3), keepdim=True)
        self.bias.copy_(-mean)
        self.logs.copy_(-(std + 1e-6).log())
        self.initialize_on_next_forward = False
