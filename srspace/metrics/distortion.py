"""Distortion: PSNR and SSIM, on RGB or on luma.

SSIM: Wang, Bovik, Sheikh, Simoncelli, "Image Quality Assessment: From Error Visibility to Structural Similarity", IEEE
Transactions on Image Processing 2004.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from srspace.metrics.context import Context
from srspace.metrics.metric import Score

_LUMA = (65.481 / 255, 128.553 / 255, 24.966 / 255)
_RADIUS = 5
_SIGMA = 1.5
_C1, _C2 = 0.01**2, 0.03**2


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


def ssim(sr: Tensor, hr: Tensor, *, y_only: bool = False, border: int = 0) -> Tensor:
    """Mean structural similarity with the 11x11 Gaussian window (sigma 1.5) of the paper, in float64.

    Local statistics are those of the population (divided by the window's weight), only windows that lie inside the
    image count, and RGB scores are the mean over channels. It is what scikit-image computes with
    ``gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=1``.

    Args:
        sr: ``(B, 3, H, W)`` in [0, 1].
        hr: the same shape.
        y_only: compare luma instead of RGB.
        border: pixels cut from every side first.

    Returns:
        ``(B,)``; 1 where the images are equal.

    Raises:
        ValueError: the shapes differ, or less than one window is left inside the border.
    """
    a, b = comparable(sr, hr, y_only=y_only, border=border)
    if min(a.shape[2:]) < 2 * _RADIUS + 1:
        raise ValueError(f"SSIM needs {2 * _RADIUS + 1} pixels a side inside the border, not {tuple(a.shape[2:])}")
    scores = [_channel(a[:, c : c + 1], b[:, c : c + 1]) for c in range(a.shape[1])]
    return torch.stack(scores).mean(0)


def make_psnr(context: Context) -> Score:
    y_only, border = context.y_only, context.border
    return lambda output, reference: psnr(output.exact, reference.hr.exact, y_only=y_only, border=border)


def make_ssim(context: Context) -> Score:
    y_only, border = context.y_only, context.border
    return lambda output, reference: ssim(output.exact, reference.hr.exact, y_only=y_only, border=border)


def _channel(a: Tensor, b: Tensor) -> Tensor:
    mean_a, mean_b = _blur(a), _blur(b)
    var_a = _blur(a * a) - mean_a * mean_a
    var_b = _blur(b * b) - mean_b * mean_b
    cov = _blur(a * b) - mean_a * mean_b
    luminance = (2 * mean_a * mean_b + _C1) / (mean_a * mean_a + mean_b * mean_b + _C1)
    structure = (2 * cov + _C2) / (var_a + var_b + _C2)
    return (luminance * structure).flatten(1).mean(1)


def _blur(x: Tensor) -> Tensor:
    offsets = torch.arange(-_RADIUS, _RADIUS + 1, dtype=x.dtype, device=x.device)
    window = torch.exp(-offsets.square() / (2 * _SIGMA**2))
    window = window / window.sum()
    return F.conv2d(F.conv2d(x, window[None, None, :, None]), window[None, None, None, :])
