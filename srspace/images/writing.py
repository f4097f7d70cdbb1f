"""From a picture to a file: 8 bits a sample by Pillow, 16 bits by libvips."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from srspace.errors import OutputError, PictureSizeError
from srspace.files import write_bytes
from srspace.images.depth import quantized
from srspace.images.formats import format_of, rules_of
from srspace.images.picture import Picture
from srspace.images.readers import vips
from srspace.images.transparency import on_white
from srspace.provenance import Provenance

_CLASSIC_TIFF = 2**31
"""Bytes of samples from which on TIFF is written with 64-bit offsets."""


def encode_picture(picture: Picture, format: str, *, provenance: Provenance | None = None) -> bytes:
    """Encode as ``format``, one of :func:`srspace.images.writable`.

    Formats without transparency get the picture on white; formats of 8 bits get it rounded.

    Args:
        picture: what to encode.
        format: name of the format.
        provenance: mark the file as a result (XMP).

    Raises:
        UsageError: the format is unknown.
        OutputError: the format cannot hold a picture of this size.
    """
    check_side(format, picture.width, picture.height)
    rules = rules_of(format)
    colour = picture.rgb[..., :1] if picture.grey else picture.rgb
    if picture.alpha is not None:
        visible = rules.alpha
        colour = np.dstack((colour, picture.alpha)) if visible else on_white(colour, picture.alpha)
    if picture.bit_depth == 16 and 16 in rules.bit_depths:
        return _encode_16(quantized(colour, 16), format, picture.icc_profile, provenance)
    return _encode_8(quantized(colour, 8), format, picture.icc_profile, provenance)


def write_picture(
    picture: Picture, path: Path | str, format: str | None = None, *, provenance: Provenance | None = None
) -> None:
    """Encode and write atomically; the format is told from the suffix unless given.

    Args:
        picture: what to write.
        path: where.
        format: as of :func:`encode_picture` (None: as the suffix says).
        provenance: mark the file as a result (XMP).

    Raises:
        UsageError: the format is unknown.
        OutputError: the file cannot be written, or the format cannot hold a picture of this size.
    """
    path = Path(path)
    try:
        data = encode_picture(picture, format or format_of(path), provenance=provenance)
    except (OSError, ValueError, RuntimeError) as error:
        raise OutputError(f"{path} cannot be encoded: {error}.") from error
    write_bytes(path, data)


def check_side(format: str, width: int, height: int) -> None:
    """Whether ``format`` can hold a picture of that size.

    Raises:
        UsageError: the format is unknown.
        OutputError: it cannot.
    """
    most = rules_of(format).max_side
    if max(width, height) > most:
        raise PictureSizeError(format, most, width, height)


def _encode_8(samples: NDArray[Any], format: str, profile: bytes | None, provenance: Provenance | None) -> bytes:
    image = Image.fromarray(samples[..., 0] if samples.shape[2] == 1 else samples)
    options = dict(rules_of(format).options)
    if profile:
        options["icc_profile"] = profile
    if provenance is not None:
        options |= _xmp_options(format, provenance)
    if format == "tiff" and samples.nbytes > _CLASSIC_TIFF:
        options["big_tiff"] = True
    buffer = io.BytesIO()
    image.save(buffer, format.upper(), **options)
    return buffer.getvalue()


def _xmp_options(format: str, provenance: Provenance) -> dict[str, Any]:
    packet = provenance.to_xmp()
    if format == "png":
        chunks = PngInfo()
        chunks.add_itxt("XML:com.adobe.xmp", packet.decode())
        return {"pnginfo": chunks}
    return {"tiffinfo": {700: packet}} if format == "tiff" else {"xmp": packet}


def _encode_16(samples: NDArray[Any], format: str, profile: bytes | None, provenance: Provenance | None) -> bytes:
    pyvips = vips.load()
    image = pyvips.Image.new_from_array(samples)
    image = image.copy(interpretation="grey16" if samples.shape[2] < 3 else "rgb16")
    if profile:
        image.set_type(pyvips.GValue.blob_type, "icc-profile-data", profile)
    if provenance is not None:
        image.set_type(pyvips.GValue.blob_type, "xmp-data", provenance.to_xmp())
    options: dict[str, Any] = {"bitdepth": 16}
    if format == "tiff":
        options = {"compression": "deflate", "bigtiff": samples.nbytes > _CLASSIC_TIFF}
    return bytes(image.write_to_buffer(f".{'tif' if format == 'tiff' else 'png'}", **options))
