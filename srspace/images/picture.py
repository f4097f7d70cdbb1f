"""What a picture is between reading and writing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Picture:
    """A decoded picture.

    Attributes:
        rgb: ``(H, W, 3)`` float32 in [0, 1], straight (not premultiplied) colours in the file's own colour space.
        alpha: ``(H, W)`` float32 in [0, 1], or None.
        bit_depth: 8 or 16, told from the file's type.
        grey: whether the file held one colour channel; it is then written as one.
        icc_profile: the embedded colour profile, kept as it is.
    """

    rgb: NDArray[np.float32]
    alpha: NDArray[np.float32] | None = None
    bit_depth: int = 8
    grey: bool = False
    icc_profile: bytes | None = None

    @property
    def height(self) -> int:
        return int(self.rgb.shape[0])

    @property
    def width(self) -> int:
        return int(self.rgb.shape[1])
