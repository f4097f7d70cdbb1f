from __future__ import annotations

import pytest

from srspace.images import Cicp, Colour
from srspace.images.colour import profiles
from srspace.images.colour.carrying import Carried, Means, carried
from srspace.images.colour.spaces import ADOBE_RGB, of_cicp

P3, HDR = Cicp(12, 13), Cicp(9, 16)
PNG, AVIF, JPEG, GIF = Means(cicp=True, numbers=True), Means(cicp=True), Means(), Means(icc=False)
ADOBE = profiles.of_space(ADOBE_RGB)
GREY = profiles.of_space(ADOBE_RGB, grey=True)


def into(colour: Colour, means: Means, grey: bool = False, grey_file: bool | None = None) -> Carried:
    return carried(colour, means, grey=grey, grey_file=grey if grey_file is None else grey_file, format="x")


def test_code_points_stay_code_points_where_a_format_has_them():
    told = into(Colour(cicp=P3), PNG).colour
    assert told.cicp == P3 and profiles.name_of(told.icc_profile) == "Display P3", "a profile for older programs"
    assert into(Colour(cicp=P3), AVIF).colour == Colour(cicp=P3)
    assert profiles.name_of(into(Colour(cicp=P3), JPEG).colour.icc_profile) == "Display P3"


def test_code_points_count_before_a_profile():
    assert profiles.name_of(into(Colour(ADOBE, P3), JPEG).colour.icc_profile) == "Display P3"


def test_hdr_is_carried_or_said():
    assert into(Colour(cicp=HDR), AVIF) == Carried(Colour(cicp=HDR))
    assert into(Colour(cicp=HDR), PNG).colour.cicp == HDR
    told = into(Colour(cicp=HDR), JPEG)
    assert told.colour == Colour() and "HDR (PQ)" in told.warnings[0] and "look wrong" in told.warnings[0]


def test_gamma_and_chromaticities_stay_in_png_and_become_a_profile_elsewhere():
    linear = Colour(gamma=1.0)
    assert into(linear, PNG).colour == linear
    for means in (JPEG, AVIF):
        assert profiles.name_of(into(linear, means).colour.icc_profile) == "gamma 1"
    wide = Colour(gamma=0.45455, chromaticities=ADOBE_RGB.primaries)
    assert into(wide, JPEG).colour.icc_profile is not None


@pytest.mark.parametrize(
    "colour", [Colour(), Colour(srgb=0), Colour(gamma=0.45455), Colour(srgb=0, gamma=0.45455, icc_profile=None)]
)
def test_srgb_needs_no_word(colour: Colour):
    for means in (JPEG, AVIF, GIF):
        assert into(colour, means) == Carried(Colour())


def test_a_grey_profile_never_goes_into_a_file_of_rgb():
    assert into(Colour(GREY), JPEG, grey=True).colour.icc_profile == GREY
    told = into(Colour(GREY), JPEG, grey=True, grey_file=False)
    assert profiles.space_of(told.colour.icc_profile) == "RGB" and not told.warnings
    broken = GREY.replace(b"kTRC", b"xTRC")
    told = into(Colour(broken), JPEG, grey=True, grey_file=False)
    assert told.colour == Colour() or profiles.space_of(told.colour.icc_profile or b"") != "GRAY"


def test_code_points_of_a_grey_picture_become_a_profile_of_grey():
    assert profiles.space_of(into(Colour(cicp=P3), JPEG, grey=True).colour.icc_profile) == "GRAY"


def test_where_nothing_can_be_told_colours_are_converted_and_that_is_said():
    told = into(Colour(ADOBE), GIF)
    assert told.source == ADOBE and told.colour == Colour() and "converted to sRGB" in told.warnings[0]
    space = of_cicp(Cicp(1, 13))
    assert space is not None
    assert into(Colour(profiles.of_space(space)), GIF) == Carried(Colour())
