"""libvips's part: 16 bits a sample, and kinds of TIFF that Pillow does not know, such as 16-bit grey with alpha."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from srspace.images.readers.decoded import Decoded, UnsupportedError, check_pixels, unsupported_samples

_TIFF_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def load() -> Any:
    """The module pyvips, set up for batches."""
    import pyvips

    pyvips.cache_set_max(0)  # its cache would keep the pictures of a whole batch in memory
    return pyvips


def is_tiff(data: bytes) -> bool:
    """Whether a file begins as a TIFF does."""
    return data[:4] in _TIFF_MAGIC


def open_tiff(path: Path) -> Any:
    """A TIFF as pyvips opens it, not yet decoded; None for anything else."""
    try:
        data = path.read_bytes() if path.is_file() else b""
        return load().Image.new_from_buffer(data, "") if is_tiff(data) else None
    except Exception:  # not a picture that vips knows either; what is wrong is told when it is read
        return None


def read(data: bytes, max_pixels: int) -> Decoded:
    """Samples of a file of 8 or 16 bits.

    Raises:
        UnsupportedError: it is too large, or of another depth or number of channels.
    """
    image = load().Image.new_from_buffer(data, "", fail_on="truncated")
    check_pixels(image.width, image.height, max_pixels)
    if image.format not in ("uchar", "ushort"):
        raise unsupported_samples(image.format)
    image = image.autorot()
    profile = image.get("icc-profile-data") if image.get_typeof("icc-profile-data") else None
    deep = image.format == "ushort"
    if image.interpretation not in ("rgb16", "grey16", "multiband", "b-w", "rgb", "srgb"):
        image, profile = image.colourspace("rgb16" if deep else "srgb"), None
    if image.bands - image.hasalpha() not in (1, 3):
        raise UnsupportedError(f"{image.bands} channels; grey and RGB are handled, each with or without alpha")
    samples = np.asarray(image.numpy()).reshape(image.height, image.width, image.bands)
    return Decoded(samples, 65535 if deep else 255, bytes(profile) if profile else None)
