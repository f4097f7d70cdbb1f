"""Tiles: parts of an image that are computed one at a time, with a margin that is thrown away."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

from torch import Tensor

MARGIN = 24
"""LR pixels that the flow computes around a tile and throws away; nothing visible reaches into it from beyond."""


@dataclass(frozen=True)
class Tile:
    """A tile, in pixels of the image: ``rows`` and ``columns`` are kept, ``outer_*`` are computed."""

    rows: slice
    columns: slice
    outer_rows: slice
    outer_columns: slice

    @property
    def pixels(self) -> int:
        """Pixels computed."""
        rows, columns = self.outer_rows, self.outer_columns
        return int((rows.stop - rows.start) * (columns.stop - columns.start))

    def inner(self, grow: int = 0) -> tuple[slice, slice]:
        """Where the kept part lies in the outer one, ``grow`` pixels wider where the outer part allows it."""
        return tuple(
            slice(max(outer.start, kept.start - grow) - outer.start, min(outer.stop, kept.stop + grow) - outer.start)
            for kept, outer in ((self.rows, self.outer_rows), (self.columns, self.outer_columns))
        )  # type: ignore[return-value]

    def lacking(self, margin: int) -> tuple[int, int, int, int]:
        """How far a margin all around would reach beyond the image: left, right, top, bottom."""
        rows, columns, outer_rows, outer_columns = self.rows, self.columns, self.outer_rows, self.outer_columns
        return (
            margin - (columns.start - outer_columns.start),
            margin - (outer_columns.stop - columns.stop),
            margin - (rows.start - outer_rows.start),
            margin - (outer_rows.stop - rows.stop),
        )

    def cut(self, image: Tensor, scale: int = 1) -> Tensor:
        """The outer part of ``(..., H, W)`` at ``scale`` times the tile's size."""
        return image[..., times(self.outer_rows, scale), times(self.outer_columns, scale)]

    def kept(self, outer: Tensor, scale: int) -> Tensor:
        """The kept part of ``outer`` ``(..., H, W)`` at ``scale`` times the tile's size."""
        rows, columns = self.inner()
        return outer[..., times(rows, scale), times(columns, scale)]

    def put(self, outer: Tensor, into: Tensor, scale: int) -> None:
        """Copy the kept part of ``outer`` to its place in ``into``, both at ``scale`` times the tile's size."""
        place = into[..., times(self.rows, scale), times(self.columns, scale)]
        place.copy_(self.kept(outer, scale).to(into.device, into.dtype))


def plan_tiles(height: int, width: int, side: int, margin: int = MARGIN) -> list[Tile]:
    """Cover an image with tiles.

    Args:
        height: of the image.
        width: likewise.
        side: the longest side that a tile may have, without its margin (0: one tile).
        margin: pixels around it that are computed as well, as far as the image goes.
    """

    def spans(length: int) -> list[tuple[slice, slice]]:
        count = max(1, math.ceil(length / side)) if side else 1
        edges = [round(i * length / count) for i in range(count + 1)]
        return [(slice(a, b), slice(max(0, a - margin), min(length, b + margin))) for a, b in pairwise(edges)]

    return [Tile(r, c, outer_r, outer_c) for r, outer_r in spans(height) for c, outer_c in spans(width)]


def times(part: slice, scale: int) -> slice:
    """``part`` at ``scale`` times the resolution."""
    return slice(part.start * scale, part.stop * scale)
