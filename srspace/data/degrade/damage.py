"""What a kind of damage is: a function of images and per-image parameters, and how the parameters are drawn.

Nothing here waits for the device: parameters are drawn there, shapes depend on the batch alone, and an image that is
to stay as it is gets computed and discarded. A training step that includes damage can so be captured as a CUDA graph.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import accumulate

import torch
from torch import Tensor

Parameters = dict[str, Tensor]
Draw = Callable[[int, torch.device], Tensor]


@dataclass(frozen=True)
class Uniform:
    """Draws from [low, high]; a ``power`` above 1 favours values near ``low``."""

    low: float
    high: float
    power: float = 1.0

    def __call__(self, count: int, device: torch.device) -> Tensor:
        share = torch.rand(count, device=device)
        return self.low + (self.high - self.low) * (share if self.power == 1 else share**self.power)


@dataclass(frozen=True)
class LogUniform:
    """Draws from [low, high], 0 < low, evenly in the logarithm."""

    low: float
    high: float

    def __call__(self, count: int, device: torch.device) -> Tensor:
        return Uniform(math.log(self.low), math.log(self.high))(count, device).exp()


@dataclass(frozen=True)
class Integer:
    """Draws whole numbers from low to high, both included, as int64."""

    low: int
    high: int

    def __call__(self, count: int, device: torch.device) -> Tensor:
        return torch.randint(self.low, self.high + 1, (count,), device=device)


@dataclass(frozen=True)
class Choice:
    """Draws the index of one of several alternatives, as int64; ``shares`` need not add up to 1."""

    shares: tuple[float, ...]

    def __call__(self, count: int, device: torch.device) -> Tensor:
        value = torch.rand(count, device=device) * sum(self.shares)
        index = torch.zeros(count, dtype=torch.int64, device=device)
        for edge in list(accumulate(self.shares))[:-1]:
            index = index + (value >= edge)
        return index


@dataclass(frozen=True)
class Flag:
    """Draws true with the given share."""

    share: float

    def __call__(self, count: int, device: torch.device) -> Tensor:
        return torch.rand(count, device=device) < self.share


@dataclass(frozen=True)
class Mostly:
    """Gives one value with the given share, else draws."""

    value: float
    share: float
    other: Draw

    def __call__(self, count: int, device: torch.device) -> Tensor:
        return self.other(count, device).masked_fill(Flag(self.share)(count, device), self.value)


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
        return {name: draw(count, device) for name, draw in self.ranges.items()}

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
