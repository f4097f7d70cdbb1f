"""JPEG 2000: 8 bits by Pillow; more by imagecodecs where it is installed, grey up to 16 bits by Pillow, too.

Reference: ISO/IEC 15444-1 Annex I (JP2 boxes) and Annex A (code stream).
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from srspace.images.colour import Colour
from srspace.images.containers import DamagedError
from srspace.images.containers.boxes import boxes, inside
from srspace.images.metadata import Packets
from srspace.images.optional import module
from srspace.images.readers.decoded import Decoded, MissingPackageError, UnsupportedError, check_pixels
from srspace.images.readers.pillow import opened, samples_of

_XMP = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
_EXIF = b"JpgTiffExif->JP2"
_SIZ = b"\xff\x4f\xff\x51"


def read(data: bytes, max_pixels: int) -> Decoded:
    """Decode a JP2 file or a code stream.

    Raises:
        UnsupportedError: it is too large, or of samples that no reader handles.
        MissingPackageError: it is deep, and imagecodecs is not installed.
        DamagedError: it is damaged.
    """
    width, height, bits, signed = size(data)
    check_pixels(width, height, max_pixels)
    if signed or bits > 16:
        raise UnsupportedError(f"{'signed ' if signed else ''}{bits}-bit samples, which are not handled")
    colour, packets = described(data)
    if bits <= 8:
        with opened(data, "JPEG2000", max_pixels) as image:
            return Decoded(samples_of(image), colour=colour, packets=packets)
    return Decoded(_deep(data, bits, max_pixels), 2**bits - 1, 16, colour, packets)


def size(data: bytes) -> tuple[int, int, int, bool]:
    """Width, height, bits of the deepest channel, and whether one of them is signed.

    Raises:
        DamagedError: there is no code stream.
    """
    start = 0 if data[:4] == _SIZ else next((box.start for box in boxes(data) if box.type == b"jp2c"), -1)
    head = data[start : start + 42 + 3 * 64] if start >= 0 else b""
    if head[:4] != _SIZ or len(head) < 42:
        raise DamagedError("it holds no code stream")
    right, lower, left, upper = struct.unpack(">4I", head[8:24])
    (count,) = struct.unpack(">H", head[40:42])
    precisions = head[42 : 42 + 3 * count : 3]
    if not precisions:
        raise DamagedError("it has no channel")
    return right - left, lower - upper, max((p & 0x7F) + 1 for p in precisions), any(p & 0x80 for p in precisions)


def described(data: bytes) -> tuple[Colour, Packets]:
    """What the boxes beside the code stream tell."""
    profile, exif, xmp = None, None, None
    for box in inside(data, b"jp2h", b"colr"):
        if data[box.start : box.start + 1] in (b"\2", b"\3"):
            profile = profile or data[box.start + 3 : box.end]
    for box in boxes(data):
        if box.type == b"uuid":
            kind, content = data[box.start : box.start + 16], data[box.start + 16 : box.end]
            xmp, exif = (content, exif) if kind == _XMP else (xmp, content if kind == _EXIF else exif)
    return Colour(profile), Packets(exif=exif, xmp=xmp, dpi=_resolution(data), orientation=1)


def _resolution(data: bytes) -> tuple[float, float] | None:
    for kind in (b"resd", b"resc"):
        for box in inside(data, b"jp2h", b"res ", kind):
            if box.end - box.start >= 10:
                n1, d1, n2, d2, e1, e2 = struct.unpack(">4H2b", data[box.start : box.start + 10])
                if n1 and d1 and n2 and d2 and abs(e1) < 9 and abs(e2) < 9:
                    return n2 / d2 * 10**e2 * 0.0254, n1 / d1 * 10**e1 * 0.0254
    return None


def _deep(data: bytes, bits: int, max_pixels: int) -> NDArray[Any]:
    with opened(data, "JPEG2000", max_pixels) as image:
        if image.mode.startswith("I;16"):
            return np.asarray(image, np.uint16)[..., None]
    codecs = module("imagecodecs")
    if codecs is None:
        raise MissingPackageError(f"a JPEG 2000 picture of {bits} bits a sample", "imagecodecs")
    samples = np.asarray(codecs.jpeg2k_decode(data))
    if samples.dtype != np.uint16:
        raise UnsupportedError(f"{samples.dtype} samples; 8 and 16 bit integers are handled")
    return samples.reshape(*samples.shape[:2], -1)
