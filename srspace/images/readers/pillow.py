"""Kinds of 8 bits a sample that Pillow reads: BMP, TGA, PCX, SGI, QOI, and stills of the plug-ins."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from srspace.images.colour import Colour
from srspace.images.containers import bmp as container
from srspace.images.metadata import Packets
from srspace.images.readers.decoded import Decoded, UnsupportedError, check_pixels, unsupported_samples

_GREY = ("1", "L", "LA", "La")
_TRANSPARENT = ("LA", "La", "PA", "RGBA", "RGBa")


def opened(data: bytes, format: str, max_pixels: int) -> Image.Image:
    """A picture as Pillow opens it, by the plug-in of that name and no other.

    Raises:
        UnsupportedError: it is too large.
    """
    image = Image.open(io.BytesIO(data), formats=[format])
    check_pixels(image.width, image.height, max_pixels)
    return image


def samples_of(image: Image.Image) -> NDArray[Any]:
    """Samples of an opened picture: ``(H, W, C)`` uint8, grey or RGB, then straight alpha where C is 2 or 4.

    Raises:
        UnsupportedError: its samples are of another kind.
    """
    image.load()
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        raise unsupported_samples("int" if image.mode == "I" else "float" if image.mode == "F" else "16-bit grey")
    transparent = image.mode in _TRANSPARENT or "transparency" in image.info
    grey = image.mode in _GREY or (image.mode in ("P", "PA") and _palette_is_grey(image))
    samples = np.asarray(image.convert("RGBA" if transparent else "RGB"))
    return samples[..., (0, -1) if transparent else (0,)] if grey else samples


def bmp(data: bytes, max_pixels: int) -> Decoded:
    """Decode a BMP or DIB file.

    Raises:
        UnsupportedError: it is too large, or of more than 8 bits a sample.
        DamagedError: it is cut short.
    """
    data = container.with_file_header(data)
    header = container.parse(data)
    check_pixels(header.width, header.height, max_pixels)
    widest = max((mask.bit_count() for mask in container.masks(header, data)), default=8)
    if widest > 8:
        raise UnsupportedError(f"{widest} bits a sample, which is not handled in BMP")
    if header.compression > 3 and header.compression != 6:
        raise UnsupportedError("a JPEG, PNG or video inside a BMP, which is not handled")
    with opened(data, "BMP", max_pixels) as image:
        dpi = image.info.get("dpi")
        samples = samples_of(image)
    return Decoded(samples, colour=Colour(container.profile(header, data)), packets=Packets(dpi=dpi))


def tga(data: bytes, max_pixels: int) -> Decoded:
    """Decode a TGA; alpha counts where its header says so, or where it is not 0 everywhere."""
    with opened(data, "TGA", max_pixels) as image:
        samples = samples_of(image)
    if samples.shape[2] == 4 and not data[17] & 15 and not samples[..., 3].any():
        samples = samples[..., :3]
    return Decoded(samples)


def qoi(data: bytes, max_pixels: int) -> Decoded:
    """Decode a QOI file."""
    return _plain(data, "QOI", max_pixels)


def pcx(data: bytes, max_pixels: int) -> Decoded:
    """Decode a PCX file."""
    return _plain(data, "PCX", max_pixels)


def sgi(data: bytes, max_pixels: int) -> Decoded:
    """Decode an SGI file of 8 bits a sample."""
    if data[3] != 1:
        raise UnsupportedError("16-bit samples, which are not handled in SGI")
    return _plain(data, "SGI", max_pixels)


def _plain(data: bytes, format: str, max_pixels: int) -> Decoded:
    with opened(data, format, max_pixels) as image:
        return Decoded(samples_of(image))


def _palette_is_grey(image: Image.Image) -> bool:
    colours = np.asarray(image.convert("RGB").getcolors(256 * 256) or [], dtype=object)
    return all(r == g == b for _, (r, g, b) in colours)
