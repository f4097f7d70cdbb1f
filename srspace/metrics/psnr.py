"""Peak signal-to-noise ratio, on RGB or on luma."""

from __future__ import annotations

import torch
from torch import Tensor

_LUMA = (65.481 / 255, 128.553 / 255, 24.966 / 255)


def luma(rgb: Tensor) -> Tensor:
    """BT.601 luma as MATLAB's ``rgb2ycbcr`` gives it, without rounding.

    Args:
        rgb: ``(B, 3, H, W)`` in [0, 1].

    Returns:
        ``(B, 1, H, W)`` in [16/255, 235/255].
    """
    weights = torch.tensor(_LUMA, dtype=rgb.dtype, device=rgb.device)
    return (rgb * weights[:, None, None]).sum(1, keepdim=True) + 16 / 255


def psnr(sr: Tensor, hr: Tensor, *, y_only: bool = False, border: int = 0) -> Tensor:
    """``10 log10(1 / mse)`` in dB, computed in float64.

    Args:
        sr: ``(B, 3, H, W)`` in [0, 1].
        hr: the same shape.
        y_only: compare luma instead of RGB.
        border: pixels cut from every side first.

    Returns:
        ``(B,)``; infinite where the images are equal.

    Raises:
        ValueError: the shapes differ, or nothing is left inside the border.
    """
    a, b = comparable(sr, hr, y_only=y_only, border=border)
    return -10 * (a - b).square().flatten(1).mean(1).log10()


def comparable(sr: Tensor, hr: Tensor, *, y_only: bool, border: int) -> tuple[Tensor, Tensor]:
    """Both images in float64, as luma if asked for, without their borders.

    Raises:
        ValueError: the shapes differ, or nothing is left inside the border.
    """
    if sr.shape != hr.shape or sr.ndim != 4 or sr.shape[1] != 3:
        raise ValueError(f"expected two images (B, 3, H, W), not {tuple(sr.shape)} and {tuple(hr.shape)}")
    if border < 0 or min(sr.shape[2:]) <= 2 * border:
        raise ValueError(f"a border of {border} leaves nothing of {tuple(sr.shape[2:])}")
    a, b = sr.double(), hr.double()
    if y_only:
        a, b = luma(a), luma(b)
    if border:
        a, b = (x[..., border:-border, border:-border] for x in (a, b))
    return a, b
