"""What can be wrong with a candidate, and what becomes of it: one guard, for sampling and for training.

The flow's inverse explodes now and then, more often at high temperatures. Such a candidate is drawn again at a lower
temperature (:data:`LADDER`); if that does not help, its damaged regions are replaced with the encoder's output.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from srspace.resize import imresize
from srspace.sampling.tiles import Tile

LADDER = (1.0, 0.75, 0.5)
"""Factors on the temperature: of a candidate's first draw, and of the redraws that follow where it is broken."""


@dataclass(frozen=True)
class Range:
    """An interval that the values of an image lie in.

    Attributes:
        low: smallest value, where images are in [0, 1].
        high: largest value.
    """

    low: float
    high: float

    def holds(self, images: Tensor) -> Tensor:
        """Which images lie within, with nothing infinite or NaN; does not wait for the device.

        Args:
            images: ``(B, 3, H, W)``, unclamped.

        Returns:
            ``(B, 1, 1, 1)`` bool.
        """
        return ((images >= self.low) & (images <= self.high)).flatten(1).all(1).view(-1, 1, 1, 1)


USABLE = Range(-1.0, 2.0)
"""A candidate that leaves it is broken, and must not be used."""

SOUND = Range(-0.3, 1.3)
"""A candidate that leaves it is about to explode: its gradient would drown all others of a batch.

Clipped highlights overshoot by less.
"""

WORST_BLOCK = 0.12
"""How far a block of :data:`BLOCK` x :data:`BLOCK` LR pixels of the reduced candidate may be from what it should be."""

BLOCK = 4
"""Side of such a block, in LR pixels."""

_MARGIN = 16  # HR pixels around a damaged place that are replaced as well


def references(lr: Tensor, regression: Tensor) -> Tensor:
    """What a reduced candidate should look like, pixel by pixel one or the other.

    That is the input or, where a model does not take the input's noise and compression over, the encoder's output.

    Args:
        lr: ``(..., 3, h, w)``.
        regression: the encoder's output, ``(..., 3, scale * h, scale * w)`` in [0, 1].

    Returns:
        ``(..., 2, 3, h, w)``.
    """
    return torch.stack((lr, _reduced(regression, lr.shape[-2], lr.shape[-1])), -4)


def examine(images: Tensor, expected: Tensor, tile: Tile, scale: int) -> Tensor:
    """Smallest and largest value of each candidate's kept part, and its largest mean error over a block.

    Not-a-number is passed on. Nothing here waits for the device.

    Args:
        images: ``(n, 3, scale * h, scale * w)`` of the tile's outer part, unclamped.
        expected: ``(k, 3, h, w)`` of the same part: see :func:`references`; or ``(n, k, 3, h, w)``, for each candidate
            its own.
        tile: the tile.
        scale: the upscaling factor.

    Returns:
        ``(n, 3)`` for :func:`usable` and :func:`described`.
    """
    kept = tile.kept(images, scale).flatten(1)
    near = tile.inner(BLOCK - 1)
    error = _error(images, expected)[..., near[0], near[1]]
    worst = F.avg_pool2d(error, min(BLOCK, *error.shape[2:]), 1).flatten(1).amax(1)
    return torch.stack((kept.amin(1), kept.amax(1), worst), 1)


def usable(findings: Tensor) -> Tensor:
    """Which candidates may be used, ``(n,)`` bool on the device, from what :func:`examine` found."""
    low, high, worst = findings.unbind(1)
    return (low >= USABLE.low) & (high <= USABLE.high) & (worst <= WORST_BLOCK)


def described(low: float, high: float, worst: float) -> str | None:
    """What is wrong with one candidate, in words, from a row of :func:`examine`'s findings; None: nothing."""
    if not all(map(math.isfinite, (low, high, worst))):
        return "values that are not finite"
    if low < USABLE.low or high > USABLE.high:
        return f"values far out of range ({low:.2g} to {high:.2g})"
    if not worst <= WORST_BLOCK:
        return f"a patch that is {255 * worst:.0f} grey levels away from the input"
    return None


def mended(image: Tensor, expected: Tensor, regression: Tensor) -> Tensor:
    """Replace what is damaged in a candidate, and a soft margin around it, with the encoder's own output.

    Args:
        image: ``(3, H, W)``, unclamped.
        expected: ``(k, 3, h, w)``: see :func:`references`.
        regression: the encoder's output, ``(3, H, W)`` in [0, 1].

    Returns:
        ``(3, H, W)`` in [0, 1].
    """
    bad = (~torch.isfinite(image) | (image < USABLE.low) | (image > USABLE.high)).any(0)
    kept = torch.where(bad, regression, image.nan_to_num(0.0)).clamp(0, 1)
    worst = F.interpolate(_error(kept[None], expected), size=bad.shape, mode="nearest")[0, 0]
    mask = (bad | (worst > WORST_BLOCK / 2)).float()[None, None]
    mask = F.max_pool2d(mask, 2 * _MARGIN + 1, 1, _MARGIN)
    mask = F.avg_pool2d(mask, _MARGIN + 1, 1, _MARGIN // 2, count_include_pad=False)[0]
    return torch.lerp(kept, regression, mask)


def _error(images: Tensor, expected: Tensor) -> Tensor:
    """Mean absolute difference of the channels, ``(n, 1, h, w)``, from what is nearest to each pixel."""
    small = _reduced(images.clamp(0, 1), expected.shape[-2], expected.shape[-1])
    return (small[:, None] - expected).abs().mean(2).amin(1, keepdim=True)


def _reduced(images: Tensor, height: int, width: int) -> Tensor:
    rows = _reduction(images.shape[-2], height, images.device)
    columns = _reduction(images.shape[-1], width, images.device)
    return rows @ images @ columns.t()


@lru_cache(maxsize=16)
def _reduction(side: int, length: int, device: torch.device) -> Tensor:
    """MATLAB's bicubic reduction of one axis as a matrix ``(length, side)``."""
    return imresize(torch.eye(side)[None], size=(length, side))[0].to(device)
