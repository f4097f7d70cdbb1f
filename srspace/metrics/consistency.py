"""LR-PSNR: how well an upscaled image agrees with its own input."""

from __future__ import annotations

from torch import Tensor

from srspace.metrics.context import Context
from srspace.metrics.distortion import psnr
from srspace.metrics.metric import Score
from srspace.metrics.view import to_uint8
from srspace.resize import imresize

BEST = 100.0
"""The highest LR-PSNR that is told, in dB: beyond it there is rounding alone."""


def lr_psnr(sr: Tensor, lr: Tensor) -> Tensor:
    """PSNR between the input and the upscaled image shrunk back to it.

    A measure of Lugmayr, Danelljan, Timofte, "NTIRE 2021 Learning the Super-Resolution Space Challenge", CVPRW 2021.
    ``sr`` is rounded to 8 bits and shrunk by MATLAB's bicubic, which rounds after each pass; RGB, no border cut.

    Args:
        sr: ``(B, 3, H, W)`` in [0, 1].
        lr: ``(B, 3, h, w)`` in [0, 1].

    Returns:
        ``(B,)`` in dB.

    Raises:
        ValueError: the images are not of that shape.
    """
    if sr.ndim != 4 or lr.ndim != 4 or sr.shape[:2] != lr.shape[:2]:
        raise ValueError(f"expected images (B, 3, H, W) and (B, 3, h, w), not {tuple(sr.shape)} and {tuple(lr.shape)}")
    small = imresize(to_uint8(sr), size=(lr.shape[2], lr.shape[3]))
    return psnr(small.double() / 255, to_uint8(lr).double() / 255)


def make(context: Context) -> Score:
    """At most :data:`BEST`: of images some of which agree exactly there would be no mean."""
    return lambda output, reference: lr_psnr(output.rgb, reference.lr.rgb).clamp(max=BEST)
