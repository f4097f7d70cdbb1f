"""Colour conversions of images ``(B, 3, H, W)``."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

Matrix = tuple[tuple[float, float, float], ...]
_LUMA = (0.299, 0.587, 0.114)


def to_linear(images: Tensor) -> Tensor:
    """From sRGB in [0, 1] to linear light in [0, 1] (IEC 61966-2-1)."""
    images = images.clamp(0, 1)
    return torch.where(images <= 0.04045, images / 12.92, ((images + 0.055) / 1.055) ** 2.4)


def to_srgb(light: Tensor) -> Tensor:
    """From linear light to sRGB, both clamped to [0, 1]."""
    light = light.clamp(0, 1)
    return torch.where(light <= 0.0031308, light * 12.92, 1.055 * light.clamp_min(1e-8) ** (1 / 2.4) - 0.055)


def luma(images: Tensor) -> Tensor:
    """Brightness of RGB as ``(B, 1, H, W)`` (ITU-R BT.601)."""
    return _LUMA[0] * images[:, 0:1] + _LUMA[1] * images[:, 1:2] + _LUMA[2] * images[:, 2:3]


def mixed(images: Tensor, matrix: Matrix) -> Tensor:
    """Channels mixed by a constant 3x3 matrix."""
    return (_on_device(matrix, images.device) @ images.flatten(2)).view_as(images)


@lru_cache(maxsize=32)
def _on_device(matrix: Matrix, device: torch.device) -> Tensor:
    return torch.tensor(matrix, dtype=torch.float32).to(device)
