"""JPEG, decoded by libvips, which tells of every fault in the coded data."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from srspace.images import libvips
from srspace.images.colour import Colour, conversion
from srspace.images.containers import DamagedError, jpeg, tiff
from srspace.images.containers.jpeg import Jpeg, Segment
from srspace.images.metadata import COMMENT, Packets, photoshop
from srspace.images.readers.decoded import Decoded, UnsupportedError, check_pixels

_STRAY_AT_THE_END = re.compile(r"extraneous bytes before marker 0xd9")
_NUMBER_OF_IMAGES = 0xB001
_PADDING = b"\xa5" * 64


def read(data: bytes, max_pixels: int) -> Decoded:
    """Decode a file; of several pictures in it, as MPO holds them, the first.

    Raises:
        UnsupportedError: it is too large, or of a kind of JPEG that no reader handles.
        DamagedError: it is damaged.
    """
    file = jpeg.parse(data)
    frame = file.frame
    check_pixels(frame.width, frame.height, max_pixels)
    if frame.bits != 8 or frame.marker not in (0xC0, 0xC1, 0xC2, 0xC9, 0xCA):
        raise UnsupportedError(f"{frame.bits}-bit samples or lossless coding, which no usual JPEG has")
    if len(frame.components) not in (1, 3, 4):
        raise UnsupportedError(f"{len(frame.components)} channels; 1, 3 and 4 are handled")
    warnings: list[str] = []
    if not file.ended:
        if not file.complete:
            raise DamagedError("the file ends before the last scan")
        warnings.append("its end marker is missing; all its pixels were there.")
    samples = _samples(file)
    colour, packets = described(file.segments, warnings)
    if samples.shape[2] == 4:
        samples, said = conversion.inks_to_srgb(samples, colour.icc_profile)
        warnings.extend(said)
        colour = Colour()
    return Decoded(samples, colour=colour, packets=packets, warnings=tuple(warnings))


def _samples(file: Jpeg) -> NDArray[Any]:
    pyvips = libvips.load()
    try:
        samples = _decoded(file.coded, "warning")
    except pyvips.Error as error:
        if not _STRAY_AT_THE_END.search(str(error)):
            raise
        # Some cameras fill up the file before its end marker; not a pixel depends on that.
        samples = _decoded(file.coded, "error")
    # libvips does not look at what is said of the last rows. If they need more data than there are, they depend on
    # what stands behind these. (Coefficients that are sent in several scans are all read before the first row.)
    end = jpeg.marker(jpeg.EOI)
    padded = file.coded.removesuffix(end) + _PADDING + end
    if file.frame.marker in jpeg.SEQUENTIAL and not np.array_equal(samples, _decoded(padded, "none")):
        raise DamagedError("the file ends before its last pixel")
    return samples


def _decoded(coded: bytes, fail_on: str) -> NDArray[Any]:
    return libvips.samples(libvips.load().Image.jpegload_buffer(coded, fail_on=fail_on))


def described(segments: Iterable[Segment], warnings: list[str]) -> tuple[Colour, Packets]:
    """What the segments beside the pixels tell."""
    kept: dict[str, Any] = {}
    profile: dict[int, bytes] = {}
    parts, texts = 0, []
    for segment in segments:
        data = segment.data
        if segment.marker == jpeg.APP0 and data.startswith(b"JFIF\0"):
            kept["dpi"] = _resolution(data)
        elif segment.marker == jpeg.APP1 and data.startswith(jpeg.EXIF):
            kept.setdefault("exif", data)
        elif segment.marker == jpeg.APP1 and data.startswith(jpeg.XMP):
            kept.setdefault("xmp", data.removeprefix(jpeg.XMP))
        elif segment.marker == jpeg.APP2 and data.startswith(jpeg.ICC) and len(data) > 14:
            profile.setdefault(data[12], data[14:])
            parts = data[13]
        elif segment.marker == jpeg.APP2 and data.startswith(b"MPF\0"):
            _several(data[4:], warnings)
        elif segment.marker == jpeg.APP13 and data.startswith(jpeg.PHOTOSHOP):
            kept.setdefault("iptc", photoshop.iptc_of(data.removeprefix(jpeg.PHOTOSHOP)))
        elif segment.marker == jpeg.COM:
            texts.append((COMMENT, data.rstrip(b"\0").decode("utf-8", "replace")))
    if profile and sorted(profile) != list(range(1, parts + 1)):
        warnings.append("a part of its colour profile is missing, so it was left out.")
        profile = {}
    joined = b"".join(profile[number] for number in sorted(profile)) or None
    return Colour(joined), Packets(**kept, texts=tuple(texts))


def _resolution(data: bytes) -> tuple[float, float] | None:
    if len(data) < 12:
        return None
    unit, x, y = struct.unpack(">BHH", data[7:12])
    factor = {1: 1.0, 2: 2.54}.get(unit)
    return None if factor is None or not x or not y else (x * factor, y * factor)


def _several(index: bytes, warnings: list[str]) -> None:
    try:
        tree = tiff.parse(index, {})
    except DamagedError:
        return
    count = tree.number(tree.chain[0], _NUMBER_OF_IMAGES, 1)
    if count > 1:
        warnings.append(f"it holds {count} pictures, of which the first was taken.")
