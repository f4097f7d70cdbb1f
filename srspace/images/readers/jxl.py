"""JPEG XL, by pillow-jxl-plugin where it is installed; more than 8 bits by imagecodecs.

Reference: ISO/IEC 18181.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from srspace.images.colour import Colour, profiles
from srspace.images.containers import jxl
from srspace.images.metadata import Packets
from srspace.images.optional import module
from srspace.images.readers.decoded import Decoded, MissingPackageError, check_pixels, unsupported_samples
from srspace.images.readers.pillow import opened, samples_of


def read(data: bytes, max_pixels: int) -> Decoded:
    """Decode a file; of an animation, the first frame. The decoder turns it.

    Raises:
        MissingPackageError: pillow-jxl-plugin is not installed.
        UnsupportedError: it is too large, or of samples that no reader handles.
        DamagedError: it is damaged.
    """
    if module("pillow_jxl") is None:
        raise MissingPackageError("a JPEG XL picture", "pillow-jxl-plugin")
    header = jxl.header(data)
    check_pixels(header.width, header.height, max_pixels)
    if header.floating or header.bits > 16:
        raise unsupported_samples("float" if header.floating else f"{header.bits}-bit")
    with opened(data, "JXL", max_pixels) as image:
        profile = image.info.get("icc_profile")
        samples, top, warnings = _samples(data, image, header.bits)
    if profile and profiles.is_srgb(profile):
        profile = None  # the decoder makes one for every picture
    if header.animated:
        warnings = (*warnings, "it is an animation, of which the first frame was taken.")
    found = jxl.packets(data)
    packets = Packets(exif=found.get(b"Exif"), xmp=found.get(b"xml "), orientation=1)
    depth = 8 if samples.dtype == np.uint8 else header.bits if header.bits in (10, 12) else 16
    return Decoded(samples, top, depth, Colour(profile), packets, warnings)


def _samples(data: bytes, image: Image.Image, bits: int) -> tuple[NDArray[Any], int, tuple[str, ...]]:
    """Samples, the value that stands for 1, and what is to be said."""
    if bits <= 8:
        return samples_of(image), 255, ()
    codecs = module("imagecodecs")
    if codecs is not None:
        samples = np.asarray(codecs.jpegxl_decode(data, index=0))
        if samples.dtype == np.uint16:
            return samples.reshape(image.height, image.width, -1), 2**bits - 1, ()
    if image.mode.startswith("I;16"):
        return np.asarray(image, np.uint16)[..., None], 65535, ()
    return samples_of(image), 255, (f"its {bits} bits a sample were read as 8: that needs imagecodecs.",)
