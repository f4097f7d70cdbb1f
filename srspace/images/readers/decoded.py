"""What every reader delivers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from srspace.images.colour import Colour
from srspace.images.kinds import Foreign
from srspace.images.metadata import Packets

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


class TooManyError(UnsupportedError):
    """More pixels than are allowed, likewise."""


class ForeignError(Exception):
    """It is a file of a kind that is not read.

    Attributes:
        kind: which one.
    """

    def __init__(self, kind: Foreign) -> None:
        super().__init__(kind.what)
        self.kind = kind


class MissingPackageError(Exception):
    """A package that is needed is not installed.

    Attributes:
        kind: what the file is, with an article.
        package: what is missing.
    """

    def __init__(self, kind: str, package: str) -> None:
        super().__init__(kind)
        self.kind, self.package = kind, package


@dataclass(frozen=True)
class Decoded:
    """Samples as they stand in the file, and everything that the file tells about them, not yet checked.

    Attributes:
        samples: ``(H, W, C)`` uint8 or uint16: grey or RGB, then straight alpha where C is 2 or 4.
        top: the value that stands for 1.
        bit_depth: of the file's samples: 8, 10, 12 or 16; what is less counts as 8.
        colour: how the numbers are meant.
        packets: metadata.
        warnings: sentences about what could not be read as it stands.
    """

    samples: NDArray[Any]
    top: int = 255
    bit_depth: int = 8
    colour: Colour = field(default_factory=Colour)
    packets: Packets = field(default_factory=Packets)
    warnings: tuple[str, ...] = ()


def check_pixels(width: int, height: int, most: int) -> None:
    """Refuse a picture that is too large before it is decoded.

    Raises:
        UnsupportedError: it has more than ``most`` pixels, or none.
    """
    if width * height > most:
        raise TooManyError(f"{_mega(width * height)} megapixels, more than the {_mega(most)} allowed")
    if width < 1 or height < 1:
        raise UnsupportedError("no pixels")


def unsupported_samples(kind: str) -> UnsupportedError:
    """The error about samples of a kind that is not handled, called as in :data:`SAMPLE_NAMES`."""
    return UnsupportedError(f"{SAMPLE_NAMES.get(kind, kind)} samples; 8 and 16 bit integers are handled")


def _mega(count: int) -> str:
    return f"{count / 1e6:.0f}" if count >= 10_000_000 else f"{count / 1e6:.3g}"
