"""Colour spaces by numbers: primaries, white points and transfer functions.

Reference: ITU-T H.273, "Coding-independent code points"; Adobe, "Adobe RGB (1998) Color Image Encoding".
"""

from __future__ import annotations

from dataclasses import dataclass

from srspace.images.colour.description import UNSPECIFIED, Cicp, Colour

D65 = (0.3127, 0.3290)
SRGB_PRIMARIES = (*D65, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)

_PRIMARIES: dict[int, tuple[float, ...]] = {
    1: SRGB_PRIMARIES,
    4: (0.310, 0.316, 0.67, 0.33, 0.21, 0.71, 0.14, 0.08),
    5: (*D65, 0.64, 0.33, 0.29, 0.60, 0.15, 0.06),
    6: (*D65, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070),
    7: (*D65, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070),
    9: (*D65, 0.708, 0.292, 0.170, 0.797, 0.131, 0.046),
    11: (0.314, 0.351, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),
    12: (*D65, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),
    22: (*D65, 0.630, 0.340, 0.295, 0.605, 0.155, 0.077),
}
_NAMES = {1: "BT.709", 9: "BT.2020", 11: "DCI-P3", 12: "Display P3"}


@dataclass(frozen=True)
class Curve:
    """A transfer function from numbers to light: ``(a x + b) ** gamma`` from ``d`` on, ``c x`` below."""

    gamma: float
    a: float = 1.0
    b: float = 0.0
    c: float = 0.0
    d: float = 0.0


SRGB_CURVE = Curve(2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)

_BT709 = Curve(1 / 0.45, 1 / 1.099, 0.099 / 1.099, 1 / 4.5, 0.081)
_CURVES = {
    1: _BT709, 4: Curve(2.2), 5: Curve(2.8), 6: _BT709, 8: Curve(1.0), 13: SRGB_CURVE, 14: _BT709, 15: _BT709,
}  # fmt: skip


@dataclass(frozen=True)
class Space:
    """An RGB colour space.

    Attributes:
        name: what a profile of it is called.
        primaries: x and y of white, red, green and blue.
        curve: from numbers to light.
    """

    name: str
    primaries: tuple[float, ...]
    curve: Curve


ADOBE_RGB = Space("Compatible with Adobe RGB (1998)", (*D65, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06), Curve(563 / 256))


def of_cicp(cicp: Cicp) -> Space | None:
    """The colour space of code points; None where no simple profile describes it, as of HDR."""
    primaries = _PRIMARIES.get(1 if cicp.primaries == UNSPECIFIED else cicp.primaries)
    curve = _CURVES.get(13 if cicp.transfer == UNSPECIFIED else cicp.transfer)
    if primaries is None or curve is None or not cicp.full_range:
        return None
    name = _NAMES.get(cicp.primaries, f"primaries {cicp.primaries}")
    return Space(name if cicp.transfer in (13, UNSPECIFIED) else f"{name}, transfer {cicp.transfer}", primaries, curve)


def of_numbers(colour: Colour) -> Space | None:
    """The colour space that gamma and chromaticities tell; None where they tell nothing beyond sRGB."""
    if colour.srgb is not None or (colour.gamma is None and colour.chromaticities is None):
        return None
    primaries, gamma = colour.chromaticities or SRGB_PRIMARIES, colour.gamma
    usual = gamma is None or abs(gamma - 1 / 2.2) < 0.005
    if usual and all(abs(a - b) < 0.002 for a, b in zip(primaries, SRGB_PRIMARIES, strict=True)):
        return None
    curve = SRGB_CURVE if gamma is None else Curve(1 / gamma)
    return Space(f"gamma {curve.gamma:.4g}", primaries, curve)
