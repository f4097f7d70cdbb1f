"""Transparent pictures: what colour their invisible parts get."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def on_white(colour: NDArray[np.float32], alpha: NDArray[np.float32]) -> NDArray[np.float32]:
    """Straight colours ``(H, W, C)`` with transparency ``(H, W)``, seen on white."""
    return np.asarray(colour * alpha[..., None] + (1 - alpha[..., None]), np.float32)


def fill_transparent(rgb: NDArray[np.float32], alpha: NDArray[np.float32]) -> NDArray[np.float32]:
    """Let visible colours flow into transparent parts, so that upscaling mixes no hidden colour into an edge.

    A pyramid of premultiplied colours is reduced until it is one pixel, then filled in from coarse to fine.

    Args:
        rgb: ``(H, W, 3)`` straight colours.
        alpha: ``(H, W)``.

    Returns:
        ``(H, W, 3)``; unchanged where ``alpha`` is 1.
    """
    height, width = alpha.shape
    weight = alpha[..., None]
    if height == width == 1:
        return rgb
    even = ((0, height % 2), (0, width % 2), (0, 0))
    shape = ((height + 1) // 2, 2, (width + 1) // 2, 2, -1)
    colours = np.pad(rgb * weight, even).reshape(shape).sum((1, 3))
    weights = np.pad(weight, even).reshape(shape).sum((1, 3))
    coarse = (colours / np.maximum(weights, 1e-6)).astype(np.float32)
    filled = fill_transparent(coarse, np.minimum(weights[..., 0], 1).astype(np.float32))
    below = filled.repeat(2, axis=0).repeat(2, axis=1)[:height, :width]
    return np.asarray(weight * rgb + (1 - weight) * below, np.float32)
