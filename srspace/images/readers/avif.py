"""AVIF: 8 bits by Pillow, more by libvips.

Reference: AOMedia, "AV1 Image File Format (AVIF)".
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from srspace.images import libvips
from srspace.images.colour import Cicp, Colour
from srspace.images.containers.heif import Properties, properties
from srspace.images.metadata import Packets
from srspace.images.readers.decoded import Decoded, UnsupportedError
from srspace.images.readers.pillow import opened, samples_of


def read(data: bytes, max_pixels: int) -> Decoded:
    """Decode a still; of a sequence, the first picture.

    Raises:
        UnsupportedError: it is too large.
    """
    told = properties(data)
    with opened(data, "AVIF", max_pixels) as image:
        packets = Packets(exif=image.info.get("exif"), xmp=image.info.get("xmp"))
        colour = described(told, image.info.get("icc_profile"))
        several = getattr(image, "n_frames", 1) > 1
        warnings = ("it holds a sequence, of which the first picture was taken.",) if several else ()
        if told.bits > 8:
            deep = _deep(data, told.bits)
            return Decoded(deep, 2**told.bits - 1, told.bits, colour, replace(packets, orientation=1), warnings)
        return Decoded(_cropped(samples_of(image), told), 255, 8, colour, packets, warnings)


def described(told: Properties, profile: bytes | None) -> Colour:
    """The colour space: by an ICC profile, or by code points."""
    if profile or told.colour is None:
        return Colour(profile or None)
    cicp = Cicp(*told.colour)
    return Colour() if cicp.is_srgb else Colour(cicp=cicp)


def _deep(data: bytes, bits: int) -> NDArray[Any]:
    """Libvips turns and crops, and gives samples of more than 8 bits at the upper end of 16."""
    samples = libvips.samples(libvips.load().Image.heifload_buffer(data, fail_on="error"))
    if samples.dtype != np.uint16 or bits > 16:
        raise UnsupportedError(f"{bits}-bit samples, which the libvips at hand does not read")
    return samples >> np.uint16(16 - bits)


def _cropped(samples: NDArray[Any], told: Properties) -> NDArray[Any]:
    """By the clean aperture, which Pillow leaves to its caller."""
    if told.aperture is None:
        return samples
    left, top, width, height = told.aperture
    return samples[top : top + height, left : left + width]
