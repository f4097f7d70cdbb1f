"""How a plot draws each method: told apart by shape without colour, and by lightness as well as hue."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from srspace import modes
from srspace.benchmark.rows import Row

# Okabe and Ito's palette, which the colour-blind tell apart. A mode's place in the list of modes picks from each; the
# lengths have no common factor, so that many modes go by before two look the same.
_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#000000", "#F0E442")
_MARKERS = ("^", "v", "D", "*", "o", "s", "p", "h", "X", "<", ">")
_LINES: tuple[Any, ...] = ("-", "--", "-.", (0, (5, 1, 1, 1, 1, 1)), ":", (0, (1, 3)))


@dataclass(frozen=True)
class Style:
    """A method's looks, in matplotlib's terms.

    Attributes:
        marker: shape of its points.
        colour: of its points.
        line: of the path between its points.
    """

    marker: str
    colour: str
    line: Any

    @property
    def size(self) -> int:
        """Area of a point in square points; a star needs more for the same weight."""
        return 190 if self.marker == "*" else 80


EXTERNAL = Style("P", "#CC79A7", (0, (3, 3)))
"""Of everything that is no mode."""


def style_of(row: Row) -> Style:
    """The style of a row, the same in every plot."""
    if row.mode is None:
        return EXTERNAL
    place = list(modes.every()).index(row.kind)
    return Style(_MARKERS[place % len(_MARKERS)], _COLOURS[place % len(_COLOURS)], _LINES[place % len(_LINES)])
