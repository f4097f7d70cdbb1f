"""JPEG compression (ITU-T T.81), batched: what is lost, without the file."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from srspace.data.degrade.blocks import dct, doubled, from_blocks, halved, off_grid, on_grid, to_blocks
from srspace.data.degrade.colour import mixed
from srspace.data.degrade.damage import per_image

SUBSAMPLINGS = ("4:2:0", "4:2:2", "4:4:4")
_TO_YCC = ((0.299, 0.587, 0.114), (-0.168735892, -0.331264108, 0.5), (0.5, -0.418687589, -0.081312411))
_TO_RGB = ((1.0, 0.0, 1.402), (1.0, -0.344136286, -0.714136286), (1.0, 1.772, 0.0))
# The example tables of T.81, Annex K, which nearly all encoders scale.
_LUMA = (
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56,
    14, 17, 22, 29, 51, 87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92,
    49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
)  # fmt: skip
_CHROMA = (
    17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99, 24, 26, 56, 99, 99, 99, 99, 99,
    47, 66, 99, 99, 99, 99, 99, 99, *[99] * 32,
)  # fmt: skip


def jpeg(images: Tensor, quality: Tensor, subsampling: Tensor, upsampling: Tensor, top: Tensor, left: Tensor) -> Tensor:
    """Compress and decompress.

    Args:
        images: ``(B, 3, H, W)`` in [0, 1].
        quality: ``(B,)``, 1 to 100, as libjpeg counts it; fractions are dropped.
        subsampling: ``(B,)``, index into :data:`SUBSAMPLINGS`.
        upsampling: ``(B,)``, int64, index into :data:`srspace.data.degrade.blocks.UPSAMPLINGS`: the decoder's.
        top: ``(B,)``, int64, 0 to 15: rows between the edge of a 16x16 block and the image's first one.
        left: ``(B,)``, the same of columns.

    Returns:
        ``(B, 3, H, W)``, multiples of 1/255.
    """
    height, width = images.shape[-2:]
    rows, columns = subsampling == 0, subsampling < 2
    planes = mixed(on_grid((images * 255).round(), top, left), _TO_YCC).round()
    # Means of one half go down in one column and up in the next, as in libjpeg: no drift.
    up = (torch.arange(planes.shape[-1], device=planes.device) % 2 + 1) / 4
    chroma = (halved(planes[:, 1:], rows, columns) + up).floor()
    planes = _coded(torch.cat((planes[:, :1] - 128, chroma), 1), _steps(quality))
    chroma = doubled(planes[:, 1:].clamp(-128, 127), rows, columns, upsampling)
    planes = torch.cat((planes[:, :1].clamp(-128, 127) + 128, chroma.round()), 1)
    decoded = mixed(planes, _TO_RGB).round().clamp(0, 255)
    return off_grid(decoded, top, left, height, width) / 255


def subsample_chroma(images: Tensor, subsampling: Tensor, upsampling: Tensor) -> Tensor:
    """Store colour at a lower resolution than brightness, and nothing else, as video and edited pictures do.

    Args:
        images: ``(B, 3, H, W)`` in [0, 1]; H and W even.
        subsampling: as of :func:`jpeg`.
        upsampling: as there.
    """
    rows, columns = subsampling == 0, subsampling < 2
    planes = mixed(images * 255, _TO_YCC)
    chroma = doubled(halved(planes[:, 1:], rows, columns).round(), rows, columns, upsampling)
    return mixed(torch.cat((planes[:, :1], chroma), 1), _TO_RGB).round().clamp(0, 255) / 255


def _coded(planes: Tensor, steps: Tensor) -> Tensor:
    """Planes after the rounding of their coefficients to ``steps`` ``(B, 3, 64)``, rounded to whole levels."""
    transform = dct(8, planes.device)
    steps = steps[:, :, None, None]
    coefficients = (to_blocks(planes, 8) @ transform.T / steps).round() * steps
    return from_blocks(coefficients @ transform, 8).round()


def _steps(quality: Tensor) -> Tensor:
    """Quantisation steps ``(B, 3, 64)``: the tables scaled as libjpeg does."""
    quality = per_image(quality.floor() if quality.is_floating_point() else quality).squeeze(-1).float()
    percent = torch.where(quality < 50, (5000 / quality).floor(), 200 - 2 * quality)
    return ((_tables(quality.device) * percent + 50) / 100).floor().clamp(1, 255)


@lru_cache(maxsize=8)
def _tables(device: torch.device) -> Tensor:
    return torch.tensor((_LUMA, _CHROMA, _CHROMA), dtype=torch.float32).to(device)
