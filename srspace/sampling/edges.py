"""The edges of a picture: it is computed as if it went on beyond them, mirrored.

The networks' convolutions see zeros beyond what they are given, and answer them with a frame: darker or brighter by up
to 45 grey levels on a flat picture. A mirrored strip takes the frame and is cut off.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from srspace.sampling.tiles import Tile

STRIP = 6
"""Width of the strip in LR pixels."""


class Strips(NamedTuple):
    """How far a part of a picture is continued beyond the picture's edges, in LR pixels."""

    left: int
    right: int
    top: int
    bottom: int

    @classmethod
    def around(cls, tile: Tile, height: int, width: int) -> Strips:
        """Strips at those sides of a tile's outer part that are edges of the picture.

        Args:
            tile: the tile.
            height: of the picture, in LR pixels.
            width: likewise.
        """
        rows, columns = tile.outer_rows, tile.outer_columns
        return cls(
            STRIP * (columns.start == 0), STRIP * (columns.stop == width),
            STRIP * (rows.start == 0), STRIP * (rows.stop == height),
        )  # fmt: skip

    def added(self, image: Tensor, scale: int = 1) -> Tensor:
        """``(..., H, W)`` at ``scale`` times the LR size, with its strips: mirrored, the outermost pixel repeated."""
        rows = _mirrored(image.shape[-2], self.top * scale, self.bottom * scale, image.device)
        columns = _mirrored(image.shape[-1], self.left * scale, self.right * scale, image.device)
        return image.index_select(-2, rows).index_select(-1, columns)

    def removed(self, image: Tensor, scale: int = 1) -> Tensor:
        """What :meth:`added` was given: a view."""
        height, width = image.shape[-2:]
        rows = slice(self.top * scale, height - self.bottom * scale)
        return image[..., rows, self.left * scale : width - self.right * scale]


def _mirrored(length: int, before: int, after: int, device: torch.device) -> Tensor:
    places = torch.arange(-before, length + after, device=device) % (2 * length)
    return torch.minimum(places, 2 * length - 1 - places)
