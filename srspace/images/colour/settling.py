"""From what a file tells about its colours to what holds: a profile fits the picture, or is left out and said."""

from __future__ import annotations

from dataclasses import replace

from srspace.images.colour import profiles
from srspace.images.colour.description import Colour
from srspace.images.colour.spaces import ADOBE_RGB


def settled(colour: Colour, *, grey: bool, adobe_rgb: bool) -> tuple[Colour, tuple[str, ...]]:
    """What holds of a picture in grey or colour.

    Args:
        colour: as it stands in the file.
        grey: whether the picture has one colour channel.
        adobe_rgb: whether EXIF tells that the colour space is Adobe RGB; it counts where nothing else is told.

    Returns:
        The colour, and what is to be said.
    """
    if colour.icc_profile is not None:
        space = profiles.space_of(colour.icc_profile)
        if space == (profiles.GREY if grey else profiles.RGB):
            return colour, ()
        told = "is damaged" if space is None else f"is one of {space}, not of {'grey' if grey else 'RGB'},"
        return replace(colour, icc_profile=None), (f"its colour profile {told} and was left out.",)
    if adobe_rgb and colour == Colour():
        return Colour(icc_profile=profiles.of_space(ADOBE_RGB, grey=grey)), ()
    return colour, ()
