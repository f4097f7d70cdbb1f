"""The one way from a file to a picture."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from srspace.errors import (
    ForeignFormatError,
    ImageError,
    MissingReaderError,
    TooManyPixelsError,
    UnknownFormatError,
    UnreadableError,
)
from srspace.images.colour.settling import settled
from srspace.images.depth import quantized
from srspace.images.metadata import gathered
from srspace.images.optional import EXTRA
from srspace.images.orientation import upright
from srspace.images.picture import Picture
from srspace.images.quiet import no_warnings
from srspace.images.readers import (
    Decoded,
    ForeignError,
    MissingPackageError,
    TooManyError,
    UnknownError,
    UnsupportedError,
    decode,
)
from srspace.images.transparency import on_white

MAX_PIXELS = 100_000_000
"""Largest input accepted, in pixels: at 4x this is already 1.6 gigapixels."""

_NOT_DAMAGED = re.compile(r"(cannot handle|unsupported|\w+: unsupported)\b", re.IGNORECASE)
_ON_THE_WAY = re.compile(r"unable to (call|write)|source: bad seek|\w+: load error")

Source = Path | str | bytes | BinaryIO


def read_picture(source: Source, *, name: str | None = None, max_pixels: int = MAX_PIXELS) -> Picture:
    """Decode a picture; of an animation, the first frame.

    EXIF orientation is applied. CMYK and Lab are converted to sRGB; other colour spaces stay and are described. A file
    that is damaged or cut short is refused. What could not be kept of a whole one is told in the picture's warnings.

    Args:
        source: a path, the file's bytes, or a binary stream.
        name: what to call the picture in messages.
        max_pixels: refuse larger pictures before decoding them.

    Raises:
        ImageError: the source is not a picture that can be read, or too large.
    """
    return finished(_decoded(source, name, max_pixels))


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
    samples = decoded.samples
    if decoded.top == 255 and samples.shape[2] in (1, 3):
        turned = upright(samples, gathered(decoded.packets).orientation)
        return np.array(np.broadcast_to(turned, (*turned.shape[:2], 3)))
    picture = finished(decoded)
    return quantized(picture.rgb if picture.alpha is None else on_white(picture.rgb, picture.alpha), 8)


def read_bytes(source: Source, name: str) -> bytes:
    """The bytes of a file or stream, called ``name`` in messages.

    Raises:
        UnreadableError: it cannot be read.
    """
    if isinstance(source, bytes):
        return source
    try:
        return Path(source).read_bytes() if isinstance(source, Path | str) else source.read()
    except OSError as error:
        raise UnreadableError(f"{name} cannot be read: {error.strerror or error}.") from error


def finished(decoded: Decoded) -> Picture:
    """The right way up, with samples from 0 to 1, and with descriptions that hold."""
    told = gathered(decoded.packets)
    samples = upright(decoded.samples, told.orientation)
    grey = samples.shape[2] < 3
    colour, said = settled(decoded.colour, grey=grey, adobe_rgb=told.adobe_rgb)
    scaled = samples.astype(np.float32)
    scaled /= np.float32(decoded.top)
    return Picture(
        rgb=np.repeat(scaled[..., :1], 3, axis=2) if grey else np.ascontiguousarray(scaled[..., :3]),
        alpha=np.ascontiguousarray(scaled[..., -1]) if samples.shape[2] in (2, 4) else None,
        bit_depth=decoded.bit_depth,
        grey=grey,
        colour=colour,
        metadata=told.metadata,
        neutral=not grey and _is_neutral(samples),
        warnings=(*decoded.warnings, *said, *told.warnings),
    )


def in_words(error: Exception, name: str, max_pixels: int) -> ImageError:
    """What a reader raises as one sentence about the file of that name."""
    match error:
        case ImageError():
            return error
        case ForeignError():
            return ForeignFormatError(name, error.kind.what, error.kind.advice)
        case MissingPackageError():
            return MissingReaderError(name, error.kind, error.package, EXTRA)
        case TooManyError():
            return TooManyPixelsError(f"{name} has {error}.")
        case UnsupportedError():
            return ImageError(f"{name} has {error}.")
        case Image.DecompressionBombError():
            return TooManyPixelsError(f"{name} has more than the {max_pixels / 1e6:.0f} megapixels allowed.")
        case UnknownError():
            return UnknownFormatError(f"{name} is not a picture in a known format.")
    detail = _detail(error)
    if _NOT_DAMAGED.match(detail):
        return ImageError(f"{name} is of a kind that is not handled ({detail}).")
    return ImageError(f"{name} is damaged or cut short ({detail}).")


def _decoded(source: Source, name: str | None, max_pixels: int) -> Decoded:
    name = name or (str(source) if isinstance(source, Path | str) else "the input")
    data = read_bytes(source, name)
    if not data:
        raise ImageError(f"{name} is empty.")
    try:
        with no_warnings():
            return decode(data, max_pixels)
    except Exception as error:
        raise in_words(error, name, max_pixels) from error


def _detail(error: Exception) -> str:
    """What a library says, without the lines that tell how libvips came to it."""
    lines = [line for line in str(error).splitlines() if line.strip() and not _ON_THE_WAY.match(line.strip())]
    return " ".join(" ".join(lines).split()).rstrip(".")[:120] or "its coded data cannot be decoded"


def _is_neutral(samples: NDArray[Any]) -> bool:
    red = samples[..., 0]
    return bool(
        (red[0] == samples[0, :, 1]).all() and (red == samples[..., 1]).all() and (red == samples[..., 2]).all()
    )
