"""The invertible 1x1 convolution: a learned mixing of channels (Kingma and Dhariwal, 2018)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class InvertibleConv1x1(nn.Module):
    """``y = W x`` at every pixel; starts as a random rotation.

    Args:
        channels: C of the ``(B, C, H, W)`` input.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.linalg.qr(torch.randn(channels, channels))[0].contiguous())

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mix channels; returns the result and the log-determinant ``(B,)``."""
        log_det = torch.linalg.slogdet(self.weight)[1] * x.shape[2] * x.shape[3]
        return F.conv2d(x, self.weight[:, :, None, None]), log_det.expand(x.shape[0])

    def inverse(self, y: Tensor) -> Tensor:
        # inv_ex does not wait for the device to say whether the matrix is singular, so that CUDA graphs can hold it.
        weight = torch.linalg.inv_ex(self.weight.double())[0].to(y.dtype)
        return F.conv2d(y, weight[:, :, None, None])
