from __future__ import annotations

import numpy as np
import pytest
import pyvips

from srspace.images import Cicp, Colour, Picture, resized
from srspace.images.colour.light import from_light, to_light
from srspace.images.colour.spaces import ADOBE_RGB, SRGB_CURVE


def noise(height: int, width: int, *, alpha: bool = False) -> Picture:
    rng = np.random.default_rng(0)
    rgb = rng.random((height, width, 3), np.float32)
    return Picture(rgb, rng.random((height, width), np.float32) if alpha else None, bit_depth=16)


def test_a_reduction_is_that_of_another_library_in_every_channel():
    picture = noise(42, 66, alpha=True)
    small = resized(picture, 33, 21)
    samples = np.dstack((picture.rgb, picture.alpha))
    reference = pyvips.Image.new_from_array(samples).resize(0.5, kernel="lanczos3").numpy().clip(0, 1)
    inner = (slice(3, -3), slice(3, -3))  # at the edges the libraries extend pictures in different ways
    assert np.abs(np.dstack((small.rgb, small.alpha)) - reference)[inner].max() < 1e-3
    assert small.bit_depth == 16 and small.rgb.dtype == small.alpha.dtype == np.float32


def test_a_picture_of_that_size_is_left_alone_and_grey_stays_grey():
    picture = noise(5, 7)
    assert resized(picture, 7, 5) is picture
    grey = Picture(np.repeat(picture.rgb[..., :1], 3, axis=2), grey=True)
    assert np.ptp(resized(grey, 3, 4).rgb, axis=2).max() == 0


def test_numbers_stay_in_their_range():
    edges = Picture(np.kron(np.indices((6, 6)).sum(0) % 2, np.ones((8, 8)))[..., None].repeat(3, 2).astype(np.float32))
    small = resized(edges, 29, 31).rgb
    assert small.min() == 0 and small.max() == 1


@pytest.mark.parametrize(
    ("colour", "expected"),
    [
        (Colour(), 0.735),  # sRGB of half the light
        (Colour(gamma=1.0), 0.5),
        (Colour(cicp=Cicp(1, 8)), 0.5),
        (Colour(cicp=Cicp(9, 16)), 0.5),  # HDR: as it is
        (Colour(gamma=1.0, icc_profile=b"any"), 0.735),
    ],
)
def test_in_linear_light_black_and_white_become_half_of_the_light(colour: Colour, expected: float):
    checks = (np.indices((64, 64)).sum(0) % 2)[..., None].repeat(3, 2).astype(np.float32)
    picture = Picture(checks, colour=colour)
    middle = resized(picture, 16, 16, linear_light=True).rgb[4:12, 4:12]
    assert np.abs(middle - expected).max() < 0.01
    assert np.abs(resized(picture, 16, 16).rgb[4:12, 4:12] - 0.5).max() < 0.01


@pytest.mark.parametrize("curve", [SRGB_CURVE, ADOBE_RGB.curve])
def test_light_becomes_the_numbers_that_it_came_from(curve):
    numbers = np.linspace(0, 1, 1001, dtype=np.float32)
    assert np.abs(from_light(to_light(numbers, curve), curve) - numbers).max() < 2e-5
