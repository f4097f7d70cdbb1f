"""LR-PSNR: how well an upscaled image agrees with its own input."""

from __future__ import annotations

from torch import Tensor

from srspace.metrics.psnr import psnr
from srspace.resize import imresize


def lr_psnr(sr: Tensor, lr: Tensor) -> Tensor:
    """PSNR between the input and the upscaled image shrunk back to it (NTIRE 2021, Lugmayr et al.).

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


def to_uint8(image: Tensor) -> Tensor:
    """Round an image in [0, 1] to 8 bits, halves up, as it is when it is written to a file."""
    return (image.clamp(0, 1) * 255 + 0.5).floor().byte()
