"""What a picture is between reading and writing."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from srspace.images.colour import Colour
from srspace.images.metadata import Metadata
from srspace.images.transparency import fill_transparent


@dataclass(frozen=True)
class Picture:
    """A decoded picture.

    Attributes:
        rgb: ``(H, W, 3)`` float32 in [0, 1], straight (not premultiplied) colours in the file's own colour space.
        alpha: ``(H, W)`` float32 in [0, 1], or None.
        bit_depth: 8, 10, 12 or 16, told from the file's type.
        grey: whether the file held one colour channel; it is then written as one.
        colour: how the numbers of ``rgb`` are meant.
        metadata: what the file tells beside.
        neutral: whether R = G = B in every pixel of a picture in colour; its results are kept so.
        warnings: sentences about what of the file could not be kept.
    """

    rgb: NDArray[np.float32]
    alpha: NDArray[np.float32] | None = None
    bit_depth: int = 8
    grey: bool = False
    colour: Colour = field(default_factory=Colour)
    metadata: Metadata = field(default_factory=Metadata)
    neutral: bool = False
    warnings: tuple[str, ...] = ()

    @property
    def achromatic(self) -> bool:
        """Whether R = G = B everywhere, and so in its results."""
        return self.grey or self.neutral

    @property
    def filled(self) -> NDArray[np.float32]:
        """``rgb``, with visible colours in transparent parts (see :func:`srspace.images.fill_transparent`)."""
        return self.rgb if self.alpha is None else fill_transparent(self.rgb, self.alpha)

    @property
    def height(self) -> int:
        return int(self.rgb.shape[0])

    @property
    def width(self) -> int:
        return int(self.rgb.shape[1])

    @property
    def icc_profile(self) -> bytes | None:
        """The ICC profile of its colours, where the file held one."""
        return self.colour.icc_profile
