"""From how a picture's numbers are meant to what a format can tell of that."""

from __future__ import annotations

from dataclasses import dataclass, replace

from srspace.images.colour import profiles
from srspace.images.colour.description import Colour
from srspace.images.colour.spaces import of_cicp, of_numbers


@dataclass(frozen=True)
class Means:
    """How a format can tell the colour space.

    Attributes:
        icc: by an ICC profile.
        cicp: by code points.
        numbers: by gamma, chromaticities and the sRGB chunk.
    """

    icc: bool = True
    cicp: bool = False
    numbers: bool = False


@dataclass(frozen=True)
class Carried:
    """What goes into a file.

    Attributes:
        colour: what is told.
        source: a profile of the picture's colours where the format cannot tell them: they must become sRGB.
        warnings: what is to be said.
    """

    colour: Colour
    source: bytes | None = None
    warnings: tuple[str, ...] = ()


def carried(colour: Colour, means: Means, *, grey: bool, grey_file: bool, format: str) -> Carried:
    """What a file of ``format`` tells of a picture's colours.

    Args:
        colour: of the picture.
        means: of the format.
        grey: whether the picture is grey.
        grey_file: whether it is written with one channel; then a profile must be one of grey, else one of RGB.
        format: name of the format, for what is said.
    """
    cicp = colour.cicp
    profile = _profile(colour, grey_file=grey_file)
    if grey and not grey_file and profile is not None and profiles.space_of(profile) == profiles.GREY:
        profile = profiles.grey_as_rgb(profile)
        if profile is None:
            said = f"its grey colour profile was left out: {format} holds pictures in colour alone."
            return Carried(Colour(), warnings=(said,))
    if cicp is not None and not (means.cicp and (cicp.full_range or means.numbers)) and of_cicp(cicp) is None:
        kind = {16: "HDR (PQ)", 18: "HDR (HLG)"}.get(cicp.transfer, "unusual")
        said = f"its {kind} colour space cannot be told in {format}: colours will look wrong."
        return Carried(Colour(), warnings=(said,))
    if means.numbers:
        return Carried(replace(colour, icc_profile=profile if cicp is not None or colour.icc_profile else None))
    if means.cicp and cicp is not None:
        return Carried(Colour(cicp=cicp))
    if means.icc or profile is None:
        return Carried(Colour(icc_profile=profile))
    if profiles.space_of(profile) == profiles.RGB and profiles.is_srgb(profile):
        return Carried(Colour())
    said = f"its colours were converted to sRGB, because no other colour space is written to {format}."
    return Carried(Colour(), profile, (said,))


def _profile(colour: Colour, *, grey_file: bool) -> bytes | None:
    """An ICC profile of the colours; None for sRGB and for what no simple profile describes."""
    if colour.cicp is not None:
        space = of_cicp(colour.cicp)
    elif colour.icc_profile is not None:
        return colour.icc_profile
    else:
        space = of_numbers(colour)
    return None if space is None else profiles.of_space(space, grey=grey_file)
