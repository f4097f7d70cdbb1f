from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageCms

from srspace.images import Cicp
from srspace.images.colour import profiles
from srspace.images.colour.spaces import ADOBE_RGB, Curve, Space, of_cicp


def shown(profile: bytes, colour: tuple[int, ...] | int, mode: str = "RGB") -> tuple[int, ...]:
    """What sRGB numbers a colour has, by littlecms."""
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    image = Image.new(mode, (1, 1), colour)
    done = ImageCms.profileToProfile(
        image, source, ImageCms.createProfile("sRGB"), ImageCms.Intent.RELATIVE_COLORIMETRIC, "RGB"
    )
    return done.getpixel((0, 0))


def of(cicp: Cicp) -> bytes:
    space = of_cicp(cicp)
    assert space is not None
    return profiles.of_space(space)


def test_display_p3_and_adobe_rgb_have_their_known_colours():
    p3 = of(Cicp(12, 13))
    assert profiles.name_of(p3) == "Display P3" and profiles.space_of(p3) == "RGB"
    assert np.abs(np.subtract(shown(p3, (234, 51, 35)), (255, 0, 0))).max() <= 1, "sRGB's red, as Display P3 has it"
    adobe = profiles.of_space(ADOBE_RGB)
    assert np.abs(np.subtract(shown(adobe, (144, 255, 60)), (0, 255, 0))).max() <= 1


def test_srgb_is_known_by_its_colours():
    assert profiles.is_srgb(of(Cicp(1, 13))) and profiles.is_srgb(of(Cicp(2, 2)))
    assert profiles.is_srgb(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    for other in (Cicp(12, 13), Cicp(1, 8), Cicp(9, 13)):
        assert not profiles.is_srgb(of(other))
    assert not profiles.is_srgb(b"nothing")


@pytest.mark.parametrize("cicp", [Cicp(1, 16), Cicp(9, 18), Cicp(1, 13, full_range=False), Cicp(200, 13)])
def test_there_is_no_simple_profile_of_everything(cicp: Cicp):
    assert of_cicp(cicp) is None


def test_linear_light_is_linear():
    linear = of(Cicp(1, 8))
    assert shown(linear, (55, 55, 55))[0] == pytest.approx(128, abs=1)


def test_a_grey_profile_becomes_one_of_rgb_that_shows_the_same():
    grey = profiles.of_space(Space("gamma 1.8", ADOBE_RGB.primaries, Curve(1.8)), grey=True)
    rgb = profiles.grey_as_rgb(grey)
    assert rgb is not None and profiles.space_of(grey) == "GRAY" and profiles.space_of(rgb) == "RGB"
    for value in (0, 40, 128, 200, 255):
        assert np.abs(np.subtract(shown(grey, value, "L"), shown(rgb, (value,) * 3))).max() <= 1
    assert profiles.grey_as_rgb(grey[:200]) is None


def test_damaged_profiles_are_known():
    good = of(Cicp(12, 13))
    for bad in (b"", bytes(200), good[:140], good[:36] + b"xxxx" + good[40:], bytes(40 * 2**20)):
        assert profiles.space_of(bad) is None
    tags = bytearray(good)
    tags[132:136] = b"xxxx"
    tags[144:148] = b"yyyy"
    for place in range(132, 132 + 12 * int.from_bytes(good[128:132], "big"), 12):
        tags[place : place + 4] = b"junk"
    assert profiles.space_of(bytes(tags)) is None
