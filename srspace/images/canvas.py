"""Composing the frames of an animation, which tell changes only.

References: CompuServe, "Graphics Interchange Format Version 89a", 1990; W3C, "Portable Network Graphics (PNG)
Specification (Third Edition)", 2025, section 13.7.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray


class Disposal(Enum):
    """What happens to a frame's place when its time is over."""

    KEEP = "keep"
    CLEAR = "clear"
    RESTORE = "restore"


@dataclass(frozen=True)
class Patch:
    """A frame as it stands in the file.

    Attributes:
        samples: ``(h, w, 4)``, straight alpha.
        left: its place on the canvas, in pixels.
        top: likewise.
        disposal: what happens to it afterwards.
        over: whether it is laid over what is there; otherwise it takes its place.
    """

    samples: NDArray[Any]
    left: int
    top: int
    disposal: Disposal
    over: bool


class Canvas:
    """What is seen of an animation; at first nothing.

    Args:
        width: in pixels.
        height: in pixels.
        dtype: of samples.
    """

    def __init__(self, width: int, height: int, dtype: type[np.unsignedinteger[Any]]) -> None:
        self._seen = np.zeros((height, width, 4), dtype)
        self._top = np.iinfo(dtype).max

    def show(self, patch: Patch) -> NDArray[Any]:
        """Lay a frame on the canvas; returns ``(H, W, 4)``, a copy of what is seen then."""
        height, width = patch.samples.shape[:2]
        place = self._seen[patch.top : patch.top + height, patch.left : patch.left + width]
        new = patch.samples[: place.shape[0], : place.shape[1]]
        before = place.copy() if patch.disposal is Disposal.RESTORE else None
        place[:] = self._laid_over(place, new) if patch.over else new
        shown = self._seen.copy()
        if before is not None:
            place[:] = before
        elif patch.disposal is Disposal.CLEAR:
            place[:] = 0
        return shown

    def _laid_over(self, below: NDArray[Any], new: NDArray[Any]) -> NDArray[Any]:
        alpha = new[..., 3:].astype(np.float32) / self._top
        if ((alpha == 0) | (alpha == 1)).all():
            return np.where(alpha == 1, new, below)
        left = below[..., 3:].astype(np.float32) / self._top * (1 - alpha)
        total = alpha + left
        colour = (new[..., :3] * alpha + below[..., :3] * left) / np.where(total == 0, 1, total)
        return np.rint(np.dstack((colour, total * self._top))).astype(new.dtype)
