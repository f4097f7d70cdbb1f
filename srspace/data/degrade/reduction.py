"""Resizing as people's software does it: several kernels, with and without antialiasing, off the centre, in steps."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor

from srspace.resize import imresize

KERNELS = ("box", "triangle", "cubic", "cubic, a = -0.75", "lanczos")
LARGEST_FACTOR = 12.0
_MARGIN = math.ceil(3 * LARGEST_FACTOR) + 2  # pixels that the widest kernel reaches beyond an edge


def resize_matrix(length: int, rows: int, factor: Tensor, kernel: Tensor, antialias: Tensor, shift: Tensor) -> Tensor:
    """One matrix per image that resizes a side, edges mirrored.

    Args:
        length: side of the input in pixels.
        rows: side of the output; what lies beyond the end of the input repeats its edge.
        factor: ``(B,)``, pixels of the input by pixels of the output; at most :data:`LARGEST_FACTOR`.
        kernel: ``(B,)``, index into :data:`KERNELS`. A box that is not antialiased takes the nearest pixel.
        antialias: ``(B,)``, boolean: widen the kernel when shrinking.
        shift: ``(B,)``, by how much the result samples off the aligned centre, in pixels of the input.

    Returns:
        ``(B, rows, length)``; the rows add up to 1.
    """
    factor = factor.view(-1, 1, 1)
    steps = torch.arange(rows, device=factor.device).view(1, -1, 1)
    centre = ((steps + 0.5) * factor - 0.5 + shift.view(-1, 1, 1)).clamp(-0.5, length - 0.5)
    width = torch.where(antialias.view(-1, 1, 1), factor.clamp_min(1), 1.0)
    places = torch.arange(-_MARGIN, length + _MARGIN, device=factor.device)
    x = (places - centre) / width
    kernel = kernel.view(-1, 1, 1)
    # Of two pixels equally near, the right one counts.
    weights = ((x > -0.5) & (x <= 0.5)).to(x.dtype)
    weights = torch.where(kernel == 1, (1 - x.abs()).clamp_min(0), weights)
    weights = torch.where(kernel == 4, _lanczos(x), weights)
    weights = torch.where((kernel == 2) | (kernel == 3), _cubic(x, -0.25 * kernel), weights)
    weights = weights / weights.sum(-1, keepdim=True)
    return weights @ _fold(length, factor.device)


def resized(
    images: Tensor,
    sides: tuple[int, int],
    factor: Tensor,
    kernel: Tensor,
    antialias: Tensor,
    shift_y: Tensor,
    shift_x: Tensor,
) -> Tensor:
    """Resize each image in its own way (see :func:`resize_matrix`).

    Args:
        images: ``(B, C, H, W)``.
        sides: height and width of the result.
        factor: ``(B,)``, as there, of both sides.
        kernel: as there.
        antialias: as there.
        shift_y: as ``shift`` there, downwards.
        shift_x: the same, to the right.
    """
    (height, width), (rows, columns) = images.shape[-2:], sides
    if (height, rows) == (width, columns):  # one set of operations for both sides
        shift = torch.cat((shift_y, shift_x))
        matrices = resize_matrix(height, rows, factor.repeat(2), kernel.repeat(2), antialias.repeat(2), shift)
        vertical, horizontal = matrices.chunk(2)
    else:
        vertical = resize_matrix(height, rows, factor, kernel, antialias, shift_y)
        horizontal = resize_matrix(width, columns, factor, kernel, antialias, shift_x)
    return vertical.unsqueeze(1) @ images @ horizontal.unsqueeze(1).transpose(-1, -2)


def clean_reduction(images: Tensor, scale: int) -> Tensor:
    """MATLAB's bicubic reduction rounded to 8 bits, to the bit what ``imresize`` makes of ``uint8``.

    Args:
        images: ``(B, C, H, W)`` in [0, 1], 8-bit values divided by 255; H and W multiples of the scale.
        scale: a power of two: the kernel's weights are then so short that float32 sums are exact.

    Returns:
        ``(B, C, H / scale, W / scale)``.
    """
    levels = (images * 255).round()
    for axis in (-2, -1):
        matrix = _bicubic_matrix(images.shape[axis], scale, images.device)
        levels = matrix @ levels if axis == -2 else levels @ matrix.T
        levels = (levels.clamp(0, 255) + 0.5).floor()
    return levels / 255


@lru_cache(maxsize=32)
def _bicubic_matrix(length: int, scale: int, device: torch.device) -> Tensor:
    identity = torch.eye(length, dtype=torch.float64)
    return imresize(identity[None], size=(length // scale, length))[0].to(device, torch.float32)


@lru_cache(maxsize=32)
def _fold(length: int, device: torch.device) -> Tensor:
    """``(length + 2 margins, length)``: adds what lies beyond an edge to the pixel that mirrors it."""
    places = torch.arange(-_MARGIN, length + _MARGIN) % (2 * length)
    return torch.eye(length)[torch.minimum(places, 2 * length - 1 - places)].to(device)


def _cubic(x: Tensor, a: Tensor) -> Tensor:
    """Keys' kernel (1981); ``a`` is its slope at 1."""
    x = x.abs()
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
    return torch.where(x <= 1, near, torch.where(x < 2, far, 0.0))


def _lanczos(x: Tensor) -> Tensor:
    return torch.where(x.abs() < 3, torch.sinc(x) * torch.sinc(x / 3), 0.0)
