"""Bytes to samples: for each format the one reader that gets it right."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from srspace.images.kinds import HEAD, Foreign, recognized
from srspace.images.readers.decoded import (
    Decoded,
    ForeignError,
    MissingPackageError,
    TooManyError,
    UnsupportedError,
)

__all__ = [
    "Decoded",
    "ForeignError",
    "MissingPackageError",
    "TooManyError",
    "UnknownError",
    "UnsupportedError",
    "decode",
]

Reader = Callable[[bytes, int], Decoded]

READERS = {
    "png": "png:read", "jpeg": "jpeg:read", "tiff": "tiff:read", "webp": "webp:read", "avif": "avif:read",
    "gif": "gif:read", "jxl": "jxl:read", "heic": "heic:read", "bmp": "pillow:bmp", "pnm": "pnm:read",
    "tga": "pillow:tga", "jpeg2000": "jpeg2000:read", "qoi": "pillow:qoi", "pcx": "pillow:pcx", "sgi": "pillow:sgi",
}  # fmt: skip
"""By format, the module here and the function in it."""


class UnknownError(Exception):
    """It is of no kind that is known."""


def decode(data: bytes, max_pixels: int) -> Decoded:
    """Decode a file; of an animation, the first frame.

    Raises:
        UnknownError: it is of no known kind.
        ForeignError: it is of a kind that is not read.
        UnsupportedError: it is larger than ``max_pixels``, or holds what no reader handles.
        MissingPackageError: its reader is not installed.
        Exception: it is damaged; libraries raise anything from SyntaxError to struct.error then.
    """
    kind = recognized(data[:HEAD])
    if kind is None:
        raise UnknownError
    if isinstance(kind, Foreign):
        raise ForeignError(kind)
    module, _, function = READERS[kind].partition(":")
    read: Reader = getattr(import_module(f"{__name__}.{module}"), function)
    return read(data, max_pixels)
