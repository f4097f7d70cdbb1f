from __future__ import annotations

import io

import numpy as np
import pyvips
from PIL import Image, ImageCms

from srspace.images import Colour, encode_picture, read_picture
from srspace.images.colour import profiles
from srspace.images.colour.conversion import by_formula, inks_to_srgb, rgb_to_srgb
from srspace.images.colour.settling import settled
from srspace.images.colour.spaces import ADOBE_RGB, SRGB_PRIMARIES
from tests.pictures import encoded


def test_inks_without_a_profile_are_what_pillow_makes_of_them_at_both_depths():
    rng = np.random.default_rng(0)
    inks = rng.integers(0, 256, (600, 5, 4), np.uint8)
    expected = np.asarray(Image.fromarray(inks, "CMYK").convert("RGB"))
    assert np.array_equal(by_formula(inks), expected)
    deep = by_formula(inks.astype(np.uint16) * 257)
    assert np.abs(deep / 257 - expected).max() < 1
    _, said = inks_to_srgb(inks, None)
    assert "without a colour profile" in said[0]
    _, said = inks_to_srgb(inks, profiles.of_space(ADOBE_RGB))
    assert "not one of CMYK" in said[0]


def test_inks_with_a_profile_are_converted_by_it_at_both_depths():
    profile = bytes(pyvips.Image.profile_load("cmyk"))
    inks = np.random.default_rng(0).integers(0, 256, (8, 8, 4), np.uint8)
    eight, said = inks_to_srgb(inks, profile)
    sixteen, _ = inks_to_srgb(inks.astype(np.uint16) * 257, profile)
    expected = ImageCms.profileToProfile(
        Image.fromarray(inks, "CMYK"), ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB"),
        outputMode="RGB",
    )  # fmt: skip
    assert not said and np.abs(sixteen / 257 - eight).max() < 1.5
    assert np.abs(eight.astype(int) - np.asarray(expected)).max() <= 3


def test_colours_are_converted_to_srgb_by_the_numbers_of_both_spaces():
    adobe = profiles.of_space(ADOBE_RGB)
    samples = np.random.default_rng(0).integers(0, 65536, (8, 8, 3), np.uint16)
    to_xyz, srgb_to_xyz = (profiles._to_xyz(primaries) for primaries in (ADOBE_RGB.primaries, SRGB_PRIMARIES))
    linear = (samples / 65535) ** ADOBE_RGB.curve.gamma @ (np.linalg.inv(srgb_to_xyz) @ to_xyz).T
    linear = linear.clip(0, 1)
    expected = np.where(linear < 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    distance = np.abs(rgb_to_srgb(samples, adobe) / 65535 - expected)
    assert np.quantile(distance, 0.95) < 1 / 255 and distance.max() < 8 / 255, "dark colours at the edge are coarser"


def test_adobe_rgb_told_by_exif_counts_where_nothing_else_is_told():
    colour, said = settled(Colour(), grey=False, adobe_rgb=True)
    assert "Adobe RGB" in profiles.name_of(colour.icc_profile) and not said
    assert profiles.space_of(settled(Colour(), grey=True, adobe_rgb=True)[0].icc_profile) == "GRAY"
    assert settled(Colour(gamma=1.0), grey=False, adobe_rgb=True)[0] == Colour(gamma=1.0)


def test_a_profile_that_does_not_fit_is_left_out_and_that_is_said():
    adobe, grey = profiles.of_space(ADOBE_RGB), profiles.of_space(ADOBE_RGB, grey=True)
    for profile, is_grey, words in (
        (adobe, True, "is one of RGB, not of grey"),
        (grey, False, "is one of GRAY, not of RGB"),
        (bytes(500), False, "is damaged"),
    ):
        image = Image.new("L", (4, 4), 90) if is_grey else Image.new("RGB", (4, 4), (9, 8, 7))
        picture = read_picture(encoded(image, "PNG", icc_profile=profile))
        assert picture.icc_profile is None and words in picture.warnings[0]
        assert read_picture(encode_picture(picture, "png")).warnings == ()
