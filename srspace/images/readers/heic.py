"""HEIC, by pillow-heif where it is installed.

Reference: ISO/IEC 23008-12 (HEIF).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from srspace.images.colour import Cicp, Colour
from srspace.images.metadata import Packets
from srspace.images.optional import module
from srspace.images.readers.decoded import Decoded, MissingPackageError, UnsupportedError, check_pixels


def read(data: bytes, max_pixels: int) -> Decoded:
    """Decode the primary picture of a file; libheif turns and crops it.

    Raises:
        MissingPackageError: pillow-heif is not installed.
        UnsupportedError: it is too large, or of samples that no reader handles.
    """
    heif = module("pillow_heif")
    if heif is None:
        raise MissingPackageError("a HEIC picture", "pillow-heif")
    image = heif.open_heif(data, convert_hdr_to_8bit=False)
    width, height = image.size
    check_pixels(width, height, max_pixels)
    bits = int(image.info.get("bit_depth", 8))
    samples = np.asarray(image)
    if samples.dtype == np.uint16:
        samples = samples >> np.uint16(16 - bits)
    elif samples.dtype != np.uint8:
        raise UnsupportedError(f"{samples.dtype} samples; 8 and 16 bit integers are handled")
    samples = samples.reshape(*samples.shape[:2], -1)
    deep = samples.dtype == np.uint16
    packets = Packets(exif=image.info.get("exif"), xmp=image.info.get("xmp"), orientation=1)
    warnings = (f"it holds {len(image)} pictures, of which one was taken.",) if len(image) > 1 else ()
    return Decoded(samples, 2**bits - 1 if deep else 255, bits if deep else 8, _colour(image.info), packets, warnings)


def _colour(info: dict[str, Any]) -> Colour:
    profile, told = info.get("icc_profile"), info.get("nclx_profile")
    if profile or not told:
        return Colour(profile or None)
    cicp = Cicp(int(told["color_primaries"]), int(told["transfer_characteristics"]))
    return Colour() if cicp.is_srgb else Colour(cicp=cicp)
