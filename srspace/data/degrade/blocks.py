"""What block-based codecs share: a grid of blocks anywhere on the image, transforms of blocks, smaller chroma."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor

UPSAMPLINGS = ("replicate", "triangle")


def on_grid(images: Tensor, top: Tensor, left: Tensor) -> Tensor:
    """Place images on a canvas of whole 16x16 blocks, so that block edges fall anywhere; edges are repeated outwards.

    Args:
        images: ``(B, C, H, W)``.
        top: ``(B,)``, 0 to 15, rows of the first block that lie above the image; int64.
        left: ``(B,)``, the same of columns.

    Returns:
        ``(B, C, H', W')``, H' and W' multiples of 16.
    """
    return _moved(images, -top, -left, _canvas(images.shape[-2]), _canvas(images.shape[-1]))


def off_grid(canvas: Tensor, top: Tensor, left: Tensor, height: int, width: int) -> Tensor:
    """Undo :func:`on_grid`."""
    return _moved(canvas, top, left, height, width)


def _canvas(side: int) -> int:
    return 16 * math.ceil((side + 15) / 16)


def _moved(images: Tensor, top: Tensor, left: Tensor, height: int, width: int) -> Tensor:
    batch, channels, rows, columns = images.shape
    row = (torch.arange(height, device=images.device) + top[:, None]).clamp(0, rows - 1)
    column = (torch.arange(width, device=images.device) + left[:, None]).clamp(0, columns - 1)
    index = (row[:, :, None] * columns + column[:, None, :]).view(batch, 1, -1).expand(-1, channels, -1)
    return images.flatten(2).gather(2, index).view(batch, channels, height, width)


def to_blocks(planes: Tensor, side: int) -> Tensor:
    """``(B, C, H, W)`` to ``(B, C, H / side, W / side, side * side)``."""
    batch, channels, height, width = planes.shape
    blocks = planes.view(batch, channels, height // side, side, width // side, side)
    return blocks.transpose(3, 4).reshape(batch, channels, height // side, width // side, side * side)


def from_blocks(blocks: Tensor, side: int) -> Tensor:
    """Undo :func:`to_blocks`."""
    batch, channels, down, across, _ = blocks.shape
    planes = blocks.view(batch, channels, down, across, side, side).transpose(3, 4)
    return planes.reshape(batch, channels, down * side, across * side)


@lru_cache(maxsize=8)
def dct(side: int, device: torch.device) -> Tensor:
    """The orthonormal two-dimensional DCT-II of a block as a matrix ``(side * side, side * side)``.

    ``blocks @ dct.T`` are coefficients, row by row; ``coefficients @ dct`` are blocks.
    """
    n = torch.arange(side, dtype=torch.float64)
    matrix = torch.cos(math.pi * n[:, None] * (n + 0.5) / side) * math.sqrt(2 / side)
    matrix[0] /= math.sqrt(2)
    return torch.kron(matrix, matrix).to(device, torch.float32)


def halved(planes: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Average pairs of rows, of columns, or of both, per image.

    Args:
        planes: ``(B, C, H, W)``, H and W even.
        rows: ``(B,)``, boolean: halve the number of rows.
        columns: ``(B,)``, the same of columns.

    Returns:
        ``(B, C, H, W)``; where a side is halved, its second half is zero and without meaning.
    """
    down, _ = _pairs(planes.shape[-2], planes.device)
    across, _ = _pairs(planes.shape[-1], planes.device)
    down = down.index_select(0, rows.long()).unsqueeze(1)
    across = across.index_select(0, columns.long()).unsqueeze(1)
    return down @ planes @ across.transpose(-1, -2)


def doubled(planes: Tensor, rows: Tensor, columns: Tensor, upsampling: Tensor) -> Tensor:
    """Undo :func:`halved` as a decoder does.

    Args:
        planes: what :func:`halved` made.
        rows: as there.
        columns: as there.
        upsampling: ``(B,)``, index into :data:`UPSAMPLINGS`. The triangle is libjpeg's "fancy" upsampling: 3/4 of the
            nearer sample and 1/4 of the other.
    """
    _, down = _pairs(planes.shape[-2], planes.device)
    _, across = _pairs(planes.shape[-1], planes.device)
    down = down.index_select(0, rows * (1 + upsampling)).unsqueeze(1)
    across = across.index_select(0, columns * (1 + upsampling)).unsqueeze(1)
    return down @ planes @ across.transpose(-1, -2)


@lru_cache(maxsize=32)
def _pairs(length: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Matrices ``(2, length, length)``: as is, halved; and ``(3, length, length)``: as is, replicated, triangle."""
    identity, half = torch.eye(length), length // 2
    average, replicated, triangle = torch.zeros(3, length, length)
    for i in range(half):
        average[i, 2 * i : 2 * i + 2] = 0.5
        replicated[2 * i : 2 * i + 2, i] = 1
        triangle[2 * i : 2 * i + 2, i] = 0.75
        triangle[2 * i, max(i - 1, 0)] += 0.25
        triangle[2 * i + 1, min(i + 1, half - 1)] += 0.25
    return torch.stack((identity, average)).to(device), torch.stack((identity, replicated, triangle)).to(device)
