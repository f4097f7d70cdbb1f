"""Bicubic resizing that equals MATLAB's ``imresize``, the field's model of how LR images come about."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

Image = TypeVar("Image", NDArray[np.generic], Tensor)


def imresize(
    image: Image, scale: float | None = None, *, size: tuple[int, int] | None = None, antialias: bool = True
) -> Image:
    """Resize with MATLAB's bicubic kernel (Keys, 1981; a = -0.5), antialiased when shrinking, edges mirrored.

    Args:
        image: a numpy array ``(H, W)`` or ``(H, W, C)``, or a tensor ``(..., H, W)``. For ``uint8`` arrays and tensors
            the result is rounded to ``uint8`` after each of the two one-dimensional passes, as MATLAB does; floating
            types are computed in their own precision without rounding or clamping, and tensors are differentiable.
        scale: factor for both sides; the output side is ``ceil(side * scale)``.
        size: output ``(height, width)`` instead of a factor.
        antialias: widen the kernel when shrinking.

    Returns:
        The resized image, of the type and layout that came in.

    Raises:
        ValueError: not exactly one of ``scale`` and ``size`` is given, a side is empty, or the type is unsupported.
    """
    if (scale is None) == (size is None):
        raise ValueError("give either scale or size")
    array = image if isinstance(image, Tensor) else torch.from_numpy(np.array(image))
    if not isinstance(image, Tensor):
        if image.ndim not in (2, 3):
            raise ValueError(f"an array must be (H, W) or (H, W, C), not {image.shape}")
        array = array if image.ndim == 2 else array.movedim(2, 0)
    if array.dtype != torch.uint8 and not array.is_floating_point():
        raise ValueError(f"the type must be uint8 or floating point, not {array.dtype}")
    if array.ndim < 2 or 0 in array.shape[-2:]:
        raise ValueError(f"an image needs two sides of at least one pixel, not {tuple(array.shape)}")
    sides = (array.shape[-2], array.shape[-1])
    if scale is not None:
        if not (math.isfinite(scale) and scale > 0):
            raise ValueError(f"scale must be positive, not {scale}")
        out_sides = (math.ceil(sides[0] * scale), math.ceil(sides[1] * scale))
        scales = (float(scale), float(scale))
    else:
        out_sides = size  # type: ignore[assignment]
        if min(out_sides) < 1:
            raise ValueError(f"size must be at least (1, 1), not {size}")
        scales = (out_sides[0] / sides[0], out_sides[1] / sides[1])
    # MATLAB resizes the side with the smaller factor first.
    for axis in (0, 1) if scales[0] <= scales[1] else (1, 0):
        array = _resize_axis(array, axis - 2, out_sides[axis], scales[axis], antialias)
    if isinstance(image, Tensor):
        return array
    return np.ascontiguousarray((array if image.ndim == 2 else array.movedim(0, 2)).numpy())


def reduced(image: Tensor, scale: int) -> Tensor:
    """:func:`imresize` by ``1 / scale`` as strided convolutions: the same but for rounding, and fast on large images.

    Args:
        image: ``(C, scale * h, scale * w)`` floating point.
        scale: an even number.

    Returns:
        ``(C, h, w)``.
    """
    kernel, _ = _phases_on(scale, image.device, image.dtype)
    margin = (kernel.numel() - scale) // 2
    for axis in (1, 2):
        grown = _mirrored(image, axis, margin)
        image = F.conv2d(grown[:, None], _along(kernel, axis), stride=_along_axis(scale, axis))[:, 0]
    return image


def enlarged(image: Tensor, scale: int) -> Tensor:
    """:func:`imresize` by ``scale``, likewise: ``(C, h, w)`` to ``(C, scale * h, scale * w)``."""
    _, kernels = _phases_on(scale, image.device, image.dtype)
    for axis in (1, 2):
        grown = _mirrored(image, axis, kernels.shape[1] // 2)
        phases = F.conv2d(grown[:, None], torch.cat([_along(kernel, axis) for kernel in kernels]))
        image = phases.transpose(1, 2).flatten(1, 2) if axis == 1 else phases.movedim(1, 3).flatten(2, 3)
    return image


@lru_cache(maxsize=8)
def _phases(scale: int) -> tuple[Tensor, Tensor]:
    """The kernel of a reduction, and those of an enlargement, one for each place in an input pixel."""
    middle = 8
    one, many = 2 * middle, 2 * middle * scale
    shrinking = imresize(torch.eye(many, dtype=torch.float64)[None], size=(one, many))
    growing = imresize(torch.eye(one, dtype=torch.float64)[None], size=(many, one))
    reach = 3 * scale // 2
    kernel = shrinking[0, middle, middle * scale - reach : (middle + 1) * scale + reach]
    return kernel, growing[0, middle * scale : (middle + 1) * scale, middle - 2 : middle + 3]


@lru_cache(maxsize=16)
def _phases_on(scale: int, device: torch.device, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """The same on a device, which is not to wait for them at every use."""
    kernel, kernels = _phases(scale)
    return kernel.to(device, dtype), kernels.to(device, dtype)


def _along(kernel: Tensor, axis: int) -> Tensor:
    return kernel.view(1, 1, -1, 1) if axis == 1 else kernel.view(1, 1, 1, -1)


def _along_axis(stride: int, axis: int) -> tuple[int, int]:
    return (stride, 1) if axis == 1 else (1, stride)


def _mirrored(image: Tensor, axis: int, margin: int) -> Tensor:
    length = image.shape[axis]
    places = torch.arange(-margin, length + margin, device=image.device) % (2 * length)
    return image.index_select(axis, torch.minimum(places, 2 * length - 1 - places))


def _resize_axis(image: Tensor, axis: int, length: int, scale: float, antialias: bool) -> Tensor:
    indices, weights = _contributions(image.shape[axis], length, scale, antialias)
    integer = image.dtype == torch.uint8
    dtype = torch.float64 if integer else image.dtype
    shape = (-1, 1) if axis == -2 else (-1,)
    total: Tensor | None = None
    for tap in range(indices.shape[1]):
        part = image.index_select(axis, indices[:, tap].to(image.device)).to(dtype)
        part = part * weights[:, tap].to(image.device, dtype).reshape(shape)
        total = part if total is None else total + part
    if total is None:
        raise ValueError("the kernel is empty")
    return (total.clamp(0, 255) + 0.5).floor().to(torch.uint8) if integer else total


@lru_cache(maxsize=64)
def _contributions(side: int, length: int, scale: float, antialias: bool) -> tuple[Tensor, Tensor]:
    shrink = scale if antialias and scale < 1 else 1.0
    width = 4 / shrink
    x = np.arange(1, length + 1, dtype=np.float64)
    centre = x / scale + 0.5 * (1 - 1 / scale)
    left = np.floor(centre - width / 2)
    taps = math.ceil(width) + 2
    positions = left[:, None] + np.arange(taps)
    weights = shrink * _cubic(shrink * (centre[:, None] - positions))
    weights /= weights.sum(1, keepdims=True)
    mirror = np.concatenate((np.arange(side), np.arange(side)[::-1]))
    indices = mirror[(positions.astype(np.int64) - 1) % (2 * side)]
    used = np.any(weights != 0, 0)
    return torch.from_numpy(indices[:, used].copy()), torch.from_numpy(weights[:, used].copy())


def _cubic(x: NDArray[np.float64]) -> NDArray[np.float64]:
    x = np.abs(x)
    near = 1.5 * x**3 - 2.5 * x**2 + 1
    far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return near * (x <= 1) + far * ((x > 1) & (x <= 2))
