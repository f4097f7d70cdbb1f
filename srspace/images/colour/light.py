"""Between the numbers of a picture and the light that they stand for."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from srspace.images.colour.description import Colour
from srspace.images.colour.spaces import SRGB_CURVE, Curve, of_cicp, of_numbers


def curve_of(colour: Colour) -> Curve | None:
    """The curve from numbers to light: sRGB's where nothing or an ICC profile is told, None where there is no simple
    one, as of HDR.
    """
    if colour.cicp is not None:
        space = of_cicp(colour.cicp)
        return None if space is None else space.curve
    space = None if colour.icc_profile is not None else of_numbers(colour)
    return SRGB_CURVE if space is None else space.curve


def to_light(numbers: NDArray[np.float32], curve: Curve) -> NDArray[np.float32]:
    """Light of numbers, both from 0 to 1."""
    powers = (curve.a * numbers + curve.b).clip(0) ** np.float32(curve.gamma)
    return np.asarray(np.where(numbers < curve.d, curve.c * numbers, powers), np.float32)


def from_light(light: NDArray[np.float32], curve: Curve) -> NDArray[np.float32]:
    """Numbers of light, both from 0 to 1."""
    numbers = (light ** np.float32(1 / curve.gamma) - curve.b) / curve.a
    if curve.d > 0:
        numbers = np.where(light < curve.c * curve.d, light / curve.c, numbers)
    return np.asarray(numbers, np.float32)
