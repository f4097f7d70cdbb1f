"""What every reader delivers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from srspace.images.picture import Picture

SAMPLE_NAMES = {
    "float": "32-bit floating-point",
    "double": "64-bit floating-point",
    "int": "32-bit",
    "uint": "32-bit",
    "short": "signed 16-bit",
    "char": "signed 8-bit",
}


class UnsupportedError(Exception):
    """What a picture has that cannot be handled, to be read after "it has"."""


@dataclass(frozen=True)
class Decoded:
    """Samples as they stand in the file, the right way up.

    Attributes:
        samples: ``(H, W, C)`` uint8 or uint16: grey or RGB, then straight alpha where C is 2 or 4.
        top: the value that stands for 1.
        icc_profile: the embedded colour profile.
    """

    samples: NDArray[Any]
    top: int = 255
    icc_profile: bytes | None = None

    @property
    def transparent(self) -> bool:
        return self.samples.shape[2] in (2, 4)

    def picture(self) -> Picture:
        """The same, with samples as numbers from 0 to 1."""
        scaled = self.samples.astype(np.float32)
        scaled /= np.float32(self.top)
        grey = scaled.shape[2] < 3
        return Picture(
            rgb=np.repeat(scaled[..., :1], 3, axis=2) if grey else np.ascontiguousarray(scaled[..., :3]),
            alpha=np.ascontiguousarray(scaled[..., -1]) if self.transparent else None,
            bit_depth=8 if self.samples.dtype == np.uint8 else 16,
            grey=grey,
            icc_profile=self.icc_profile,
        )


def check_pixels(width: int, height: int, most: int) -> None:
    """Refuse a picture that is too large before it is decoded.

    Raises:
        UnsupportedError: it has more than ``most`` pixels.
    """
    if width * height > most:
        raise UnsupportedError(f"{width * height / 1e6:.0f} megapixels, more than the {most / 1e6:.0f} allowed")


def unsupported_samples(kind: str) -> UnsupportedError:
    """The error about samples of a kind that is not handled, called as in :data:`SAMPLE_NAMES`."""
    return UnsupportedError(f"{SAMPLE_NAMES.get(kind, kind)} samples; 8 and 16 bit integers are handled")
