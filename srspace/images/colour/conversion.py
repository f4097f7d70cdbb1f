"""To sRGB from what PNG and the like cannot hold: inks, by their profile or by the plain formula, and CIE L*a*b*."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from srspace.images import libvips
from srspace.images.colour import profiles

_ROWS = 256


def inks_to_srgb(inks: NDArray[Any], profile: bytes | None) -> tuple[NDArray[Any], tuple[str, ...]]:
    """Convert ``(H, W, 4)`` cyan, magenta, yellow and black; the largest number of their type is full ink.

    Returns:
        ``(H, W, 3)`` of the same type, and what is to be said about it.
    """
    if profile is None:
        return by_formula(inks), ("it is CMYK without a colour profile: its colours are approximate.",)
    if profiles.space_of(profile) != profiles.CMYK:
        said = "its colour profile is damaged or not one of CMYK and was left out: its colours are approximate."
        return by_formula(inks), (said,)
    pyvips = libvips.load()
    image = pyvips.Image.new_from_array(inks).copy(interpretation="cmyk")
    image.set_type(pyvips.GValue.blob_type, "icc-profile-data", profile)
    depth = 16 if inks.dtype == np.uint16 else 8
    rgb = image.icc_transform("srgb", embedded=True, intent="perceptual", depth=depth)
    return libvips.samples(rgb), ()


def by_formula(inks: NDArray[Any]) -> NDArray[Any]:
    """Each of red, green and blue is what its ink and black leave of white."""
    top = np.uint32(np.iinfo(inks.dtype).max)
    rgb = np.empty((*inks.shape[:2], 3), inks.dtype)
    for start in range(0, len(inks), _ROWS):
        part = inks[start : start + _ROWS].astype(np.uint32)
        left = top - part[..., 3:]
        rgb[start : start + _ROWS] = left - (part[..., :3] * left + top // 2) // top
    return rgb


def lab_to_srgb(image: Image.Image) -> Image.Image:
    """Convert a picture in CIE L*a*b*."""
    converted = ImageCms.profileToProfile(
        image, ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), outputMode="RGB"
    )
    return image.convert("RGB") if converted is None else converted


def rgb_to_srgb(samples: NDArray[Any], profile: bytes) -> NDArray[Any]:
    """Convert ``(H, W, C)`` uint16, C of 1 or 3, from the colours of ``profile``; the result has three channels."""
    pyvips = libvips.load()
    image = pyvips.Image.new_from_array(samples).copy(interpretation="rgb16" if samples.shape[2] == 3 else "grey16")
    image.set_type(pyvips.GValue.blob_type, "icc-profile-data", profile)
    return libvips.samples(image.icc_transform("srgb", embedded=True, intent="relative", depth=16))
