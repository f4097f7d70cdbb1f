"""The one way from a file to a picture."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from srspace.errors import ImageError
from srspace.images.depth import quantized
from srspace.images.picture import Picture
from srspace.images.quiet import no_warnings
from srspace.images.readers import Decoded, UnsupportedError, decode
from srspace.images.transparency import on_white

MAX_PIXELS = 100_000_000
"""Largest input accepted, in pixels: at 4x this is already 1.6 gigapixels."""

Source = Path | str | bytes | BinaryIO


def read_picture(source: Source, *, name: str | None = None, max_pixels: int = MAX_PIXELS) -> Picture:
    """Decode a picture; of an animation, the first frame.

    EXIF orientation is applied. CMYK and Lab are converted to sRGB; other colour spaces stay and keep their profile.

    Args:
        source: a path, the file's bytes, or a binary stream.
        name: what to call the picture in messages.
        max_pixels: refuse larger pictures before decoding them.

    Raises:
        ImageError: the source is not a picture that can be read, or too large.
    """
    return _decoded(source, name, max_pixels).picture()


def read_rgb8(source: Source, *, name: str | None = None, max_pixels: int = MAX_PIXELS) -> NDArray[np.uint8]:
    """Decode a picture to 8-bit RGB, as training and benchmarks take it: :func:`read_picture`, then 8 bits.

    Deeper samples are rounded, grey becomes R = G = B, and transparent parts are seen on white, as in a JPEG that is
    written of the picture.

    Args:
        source: as of :func:`read_picture`.
        name: as of :func:`read_picture`.
        max_pixels: as of :func:`read_picture`.

    Returns:
        ``(H, W, 3)`` uint8, contiguous and writable.

    Raises:
        ImageError: the source is not a picture that can be read, or too large.
    """
    decoded = _decoded(source, name, max_pixels)
    if decoded.samples.dtype == np.uint8 and not decoded.transparent:
        return np.array(np.broadcast_to(decoded.samples, (*decoded.samples.shape[:2], 3)))
    picture = decoded.picture()
    return quantized(picture.rgb if picture.alpha is None else on_white(picture.rgb, picture.alpha), 8)


def read_bytes(source: Source, name: str) -> bytes:
    """The bytes of a file or stream, called ``name`` in messages.

    Raises:
        ImageError: it cannot be read.
    """
    if isinstance(source, bytes):
        return source
    try:
        return Path(source).read_bytes() if isinstance(source, Path | str) else source.read()
    except OSError as error:
        raise ImageError(f"{name} cannot be read: {error.strerror or error}.") from error


def _decoded(source: Source, name: str | None, max_pixels: int) -> Decoded:
    name = name or (str(source) if isinstance(source, Path | str) else "the input")
    data = read_bytes(source, name)
    if not data:
        raise ImageError(f"{name} is empty.")
    try:
        with no_warnings():
            return decode(data, max_pixels)
    except UnsupportedError as error:
        raise ImageError(f"{name} has {error}.") from error
    except Image.DecompressionBombError as error:
        raise ImageError(f"{name} has more than the {max_pixels / 1e6:.0f} megapixels allowed.") from error
    except UnidentifiedImageError as error:
        raise ImageError(f"{name} is not a picture in a known format.") from error
    except Exception as error:  # decoders raise anything from SyntaxError to struct.error on damaged files
        detail = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        raise ImageError(f"{name} is damaged or cut short ({detail[:120]}).") from error
