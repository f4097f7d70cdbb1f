"""What a kind of damage is: a function of images and per-image parameters, and how the parameters are drawn.

Nothing here waits for the device: parameters are drawn there, shapes depend on the batch alone, and an image that is
to stay as it is gets computed and discarded. A training step that includes damage can so be captured as a CUDA graph.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate

import torch
from torch import Tensor

Parameters = dict[str, Tensor]
Draw = Callable[[Tensor], Tensor]
"""Makes ``(n,)`` values of ``(n,)`` random numbers that are even in [0, 1)."""


@dataclass(frozen=True)
class Uniform:
    """Values in [low, high]; a ``power`` above 1 favours those near ``low``."""

    low: float
    high: float
    power: float = 1.0

    def __call__(self, even: Tensor) -> Tensor:
        return self.low + (self.high - self.low) * (even if self.power == 1 else even**self.power)


@dataclass(frozen=True)
class LogUniform:
    """Values in [low, high], 0 < low, even in the logarithm."""

    low: float
    high: float

    def __call__(self, even: Tensor) -> Tensor:
        return Uniform(math.log(self.low), math.log(self.high))(even).exp()


@dataclass(frozen=True)
class Integer:
    """Whole numbers from low to high, both included, as int64."""

    low: int
    high: int

    def __call__(self, even: Tensor) -> Tensor:
        return Uniform(self.low, self.high + 1)(even).long()


@dataclass(frozen=True)
class Choice:
    """The index of one of several alternatives, as int64; ``shares`` need not add up to 1."""

    shares: tuple[float, ...]

    def __call__(self, even: Tensor) -> Tensor:
        return torch.bucketize(even, _edges(self.shares, even.device), right=True)


@dataclass(frozen=True)
class Flag:
    """True with the given share."""

    share: float

    def __call__(self, even: Tensor) -> Tensor:
        return even < self.share


@dataclass(frozen=True)
class Mostly:
    """One value with the given share; the others are drawn."""

    value: float
    share: float
    other: Draw

    def __call__(self, even: Tensor) -> Tensor:
        # What is left of the random number above the share is even again; rounding must not bring it to 1.
        rest = ((even - self.share) / max(1 - self.share, 1e-6)).clamp(0, 1 - 2**-20)
        return self.other(rest).masked_fill(even < self.share, self.value)


def drawn(ranges: Mapping[str, Draw], count: int, device: torch.device) -> Parameters:
    """``count`` values of every parameter."""
    numbers = torch.rand(len(ranges), count, device=device)
    return {name: draw(even) for (name, draw), even in zip(ranges.items(), numbers, strict=True)}


def flags(share: float, count: int, device: torch.device) -> Tensor:
    """``(count,)`` booleans, true with the given share."""
    return torch.rand(count, device=device) < share


@lru_cache(maxsize=64)
def _edges(shares: tuple[float, ...], device: torch.device) -> Tensor:
    total = sum(shares)
    return torch.tensor([edge / total for edge in accumulate(shares)][:-1]).to(device)


@dataclass(frozen=True)
class Damage:
    """One kind of damage.

    Attributes:
        name: what records call it.
        apply: takes images ``(B, 3, H, W)`` in [0, 1] and, by name, one ``(B,)`` tensor per parameter; returns images
            of the same shape and range.
        ranges: how each parameter is drawn.
    """

    name: str
    apply: Callable[..., Tensor]
    ranges: Mapping[str, Draw]

    def draw(self, count: int, device: torch.device) -> Parameters:
        """One value per image of every parameter."""
        return drawn(self.ranges, count, device)

    def __call__(self, images: Tensor, **fixed: float | bool) -> Tensor:
        """Damage every image; parameters that are not given are drawn.

        Args:
            images: ``(B, 3, H, W)`` in [0, 1].
            fixed: values that all images share.

        Raises:
            TypeError: a parameter is not one of this damage.
        """
        unknown = sorted(set(fixed) - set(self.ranges))
        if unknown:
            raise TypeError(f"{self.name} has no parameter {', '.join(unknown)}; it has {', '.join(self.ranges)}")
        parameters = self.draw(images.shape[0], images.device)
        parameters |= {name: torch.full_like(parameters[name], value) for name, value in fixed.items()}
        return self.apply(images, **parameters)


def per_image(values: Tensor) -> Tensor:
    """``(B,)`` as ``(B, 1, 1, 1)``, to go with images."""
    return values.view(-1, 1, 1, 1)


def quantized(images: Tensor) -> Tensor:
    """Clamped to [0, 1] and rounded to 8 bits, as a file would hold them."""
    return (images.clamp(0, 1) * 255).round() / 255
