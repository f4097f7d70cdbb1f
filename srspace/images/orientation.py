"""Turning pictures upright.

Reference: CIPA DC-008 (Exif), tag 0x0112.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def upright(samples: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Samples ``(H, W, C)`` the right way up, of a picture with that EXIF orientation, 1 to 8."""
    if orientation in (5, 6, 7, 8):
        samples = samples.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        samples = samples[::-1]
    if orientation in (2, 3, 6, 7):
        samples = samples[:, ::-1]
    return np.ascontiguousarray(samples)


def turned(width: int, height: int, orientation: int) -> tuple[int, int]:
    """Width and height of the same picture the right way up."""
    return (height, width) if orientation in (5, 6, 7, 8) else (width, height)
