"""A model of candidates that is linear, pointwise and exact: what a sampler makes of it can be told beforehand."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from srspace.models import RRDBFeatures
from srspace.sampling.edges import STRIP

Damage = Callable[[Tensor], None]
_STRIP = 4 * STRIP


class ToyModel:
    """Candidates are the enlarged input and 0.02 times their latents; the encoder's output is the enlarged input.

    Attributes:
        damage: what happens to the n-th candidate decoded, in place, by n.
        decoded: candidates decoded so far.
        before: called with the name of every method before its work.
    """

    def __init__(self, damage: dict[int, Damage] | None = None) -> None:
        self.device, self.scale = torch.device("cpu"), 4
        self.damage, self.decoded = damage or {}, 0
        self.before: Callable[[str], None] = lambda name: None

    def latent_shapes(self, height: int, width: int) -> list[tuple[int, int, int]]:
        return [(3, height, width)]

    def features(self, lr: Tensor) -> RRDBFeatures:
        self.before("features")
        return RRDBFeatures(lr, lr, (lr,))

    def conditions(self, features: RRDBFeatures, *, once: bool = False) -> Tensor:
        self.before("conditions")
        return F.interpolate(features.last, scale_factor=self.scale, mode="nearest")

    def select(self, conditions: Tensor, index: Tensor) -> Tensor:
        return conditions[index]

    def decode(self, latents: Sequence[Tensor], conditions: Tensor) -> Tensor:
        self.before("decode")
        images = conditions + 0.02 * latents[0]
        for image in images:
            self.damage.get(self.decoded, lambda image: None)(image)
            self.decoded += 1
        return images

    def regression(self, features: RRDBFeatures) -> Tensor:
        self.before("regression")
        return F.interpolate(features.last, scale_factor=self.scale, mode="nearest")

    def bytes_per_pixel(self) -> tuple[int, int, int]:
        return 1000, 1000, 1000


def smooth(height: int, width: int, *, seed: int = 1) -> Tensor:
    """A smooth image ``(3, height, width)``, away from 0 and 1."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 3, 3, 3, generator=generator)
    return 0.3 + 0.4 * F.interpolate(coarse, (height, width), mode="bilinear", align_corners=True)[0]


def pixel_of(value: float, row: int = 30, column: int = 30) -> Damage:
    """One value of a candidate of a picture that is one tile, or of a tile with edges at the left and the top."""

    def damage(image: Tensor) -> None:
        image[0, row + _STRIP, column + _STRIP] = value

    return damage


def patch_shifted(by: float, side: int = 32, top: int = 8, left: int = 8) -> Damage:
    """A square that is brighter than it should be."""

    def damage(image: Tensor) -> None:
        image[:, top + _STRIP : top + _STRIP + side, left + _STRIP : left + _STRIP + side] += by

    return damage


def detailed(count: int, side: int, deviation: float) -> Tensor:
    """Images ``(count, 3, side, side)`` with details at every scale, in 8-bit levels; ``side`` is a multiple of 16."""
    generator = torch.Generator().manual_seed(0)
    layers = [
        F.interpolate(torch.rand(count, 3, coarse, coarse, generator=generator), (side, side), mode="bicubic")
        * side / coarse**0.6
        for coarse in (side // 16 * 2**i for i in range(5))
    ]  # fmt: skip
    mixed = torch.stack(layers).sum(0)
    return ((mixed - mixed.mean()) * deviation / mixed.std() + 128).clamp(0, 255).round()
