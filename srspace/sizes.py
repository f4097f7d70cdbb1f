"""How large a result is, told in the ways that people ask for it."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from srspace.errors import EnlargementError, UsageError

MAX_FACTOR = 8
"""The most that a side is enlarged; beyond it, a result shows more of the networks than of the picture."""


@dataclass(frozen=True)
class TargetSize:
    """How large results are: one of the first five is given. Proportions are kept.

    >>> TargetSize(width=1920).of(640, 427)
    (1920, 1281)
    >>> TargetSize(scale=1.5).of(33, 21)
    (50, 32)

    Attributes:
        scale: factor of both sides; 1 restores a picture and leaves its size.
        width: in pixels.
        height: in pixels.
        fit: width and height of a box that the result just fits into.
        megapixels: millions of pixels.
        linear_light: whether networks' pictures are reduced in linear light. Otherwise their numbers are averaged as
            they are, which is how networks were taught what a reduction is, so that a result of scale 1 is as bright
            as its input even in fine texture.

    Raises:
        UsageError: none or several are given, or one is out of range.
    """

    scale: float | None = None
    width: int | None = None
    height: int | None = None
    fit: tuple[int, int] | None = None
    megapixels: float | None = None
    linear_light: bool = False

    def __post_init__(self) -> None:
        ways = ("scale", "width", "height", "fit", "megapixels")
        given = [name for name in ways if getattr(self, name) is not None]
        if len(given) != 1:
            told = f", not by {' and '.join(given)}" if given else ""
            raise UsageError(f"a size is told by one of scale, width, height, fit and megapixels{told}.")
        if self.scale is not None and not 0 < self.scale <= MAX_FACTOR:
            raise UsageError(f"the scale must be above 0 and at most {MAX_FACTOR}, not {self.scale:g}.")
        if self.megapixels is not None and not 0 < self.megapixels < math.inf:
            raise UsageError(f"the megapixels must be above 0, not {self.megapixels:g}.")
        sides = [side for side in (self.width, self.height, *(self.fit or ())) if side is not None]
        if sides and min(sides) < 1:
            raise UsageError(f"a side must have at least one pixel, not {min(sides)}.")

    def of(self, width: int, height: int, name: str = "the picture") -> tuple[int, int]:
        """Width and height of a picture's result; halves are rounded up, and no side is empty.

        Args:
            width: of the picture, in pixels.
            height: likewise.
            name: what to call the picture in messages.

        Raises:
            EnlargementError: that would be more than :data:`MAX_FACTOR` times the picture.
        """
        factor = self._factor(width, height)
        wide, high = (max(1, math.floor(side * factor + 0.5)) for side in (width, height))
        if self.width is not None:
            wide = self.width
        if self.height is not None:
            high = self.height
        if factor > MAX_FACTOR:
            raise EnlargementError(name, (width, height), (wide, high), MAX_FACTOR)
        return wide, high

    def __str__(self) -> str:
        """Short, as names of files have it: ``x1.5``, ``1920w``, ``1080h``, ``fit800x600`` or ``2mp``."""
        if self.scale is not None:
            return f"x{self.scale:g}"
        if self.fit is not None:
            return f"fit{self.fit[0]}x{self.fit[1]}"
        if self.megapixels is not None:
            return f"{self.megapixels:g}mp"
        return f"{self.height}h" if self.width is None else f"{self.width}w"

    def _factor(self, width: int, height: int) -> float:
        if self.scale is not None:
            return self.scale
        if self.megapixels is not None:
            return math.sqrt(self.megapixels * 1e6 / (width * height))
        wide, high = self.fit or (self.width, self.height)
        return min(math.inf if wide is None else wide / width, math.inf if high is None else high / height)


def told_size(
    scale: float | None = None,
    width: int | None = None,
    height: int | None = None,
    fit: str | None = None,
    megapixels: float | None = None,
    *,
    linear_light: bool = False,
) -> TargetSize | None:
    """The size that people tell; None where they tell none.

    Args:
        scale: as of :class:`TargetSize`.
        width: likewise.
        height: likewise.
        fit: a box as :func:`parse_box` takes it.
        megapixels: as of :class:`TargetSize`.
        linear_light: likewise.

    Raises:
        UsageError: it is told in several ways, or is out of range.
    """
    if all(value is None for value in (scale, width, height, fit, megapixels)):
        return None
    box = None if fit is None else parse_box(fit)
    return TargetSize(scale, width, height, box, megapixels, linear_light)


def parse_box(text: str) -> tuple[int, int]:
    """``800x600`` as width and height.

    Raises:
        UsageError: it is none.
    """
    found = re.fullmatch(r"(\d{1,9})[xX](\d{1,9})", text.strip())
    if found is None:
        raise UsageError(f"a box is told as WIDTHxHEIGHT, such as 800x600, not {text!r}.")
    return int(found[1]), int(found[2])
