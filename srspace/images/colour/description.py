"""How the numbers of a picture are meant: its colour space, as files tell it in several ways."""

from __future__ import annotations

from dataclasses import dataclass

UNSPECIFIED = 2


@dataclass(frozen=True)
class Cicp:
    """A colour space by code points, as AVIF (nclx) and PNG (cICP) tell it; of RGB samples, so without a matrix.

    Reference: ITU-T H.273, "Coding-independent code points for video signal type identification".

    Attributes:
        primaries: 1 BT.709, 9 BT.2020, 12 Display P3, ...
        transfer: 1 BT.709, 8 linear, 13 sRGB, 16 PQ, 18 HLG, ...
        full_range: whether 0 and 1 are black and white; otherwise they are at 16/255 and 235/255.
    """

    primaries: int
    transfer: int
    full_range: bool = True

    @property
    def is_srgb(self) -> bool:
        """Whether it says no more than is taken for granted."""
        return self.primaries in (1, UNSPECIFIED) and self.transfer in (13, UNSPECIFIED) and self.full_range

    @property
    def hdr(self) -> bool:
        """Whether its transfer function is made for high dynamic range (PQ or HLG)."""
        return self.transfer in (16, 18)


@dataclass(frozen=True)
class Colour:
    """How the numbers of a picture are meant; where nothing is told, sRGB.

    Where several are told, the first of ``cicp``, ``icc_profile``, ``srgb`` and the last two counts, as PNG has it.

    Attributes:
        icc_profile: an ICC profile that fits the picture: of grey for a grey picture, of RGB for one in colour.
        cicp: code points.
        srgb: rendering intent of a picture that is said to be sRGB, 0 to 3.
        gamma: exponent from light to numbers, such as 0.45455; 1 for linear light.
        chromaticities: x and y of white, red, green and blue.
    """

    icc_profile: bytes | None = None
    cicp: Cicp | None = None
    srgb: int | None = None
    gamma: float | None = None
    chromaticities: tuple[float, ...] | None = None
