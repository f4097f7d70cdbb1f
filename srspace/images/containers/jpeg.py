"""Segments of JPEG files.

Reference: ITU-T T.81 (1992) for the structure; JFIF, Exif and ICC.1 Annex B for what the APP segments hold.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from srspace.images.containers.damage import DamagedError

SOI, EOI, SOS, DHT, DAC, COM = 0xD8, 0xD9, 0xDA, 0xC4, 0xCC, 0xFE
APP0, APP1, APP2, APP13, APP14 = 0xE0, 0xE1, 0xE2, 0xED, 0xEE
EXIF, XMP, ICC, PHOTOSHOP = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0", b"ICC_PROFILE\0", b"Photoshop 3.0\0"
SEQUENTIAL = (0xC0, 0xC1)
"""Frames whose scans give every coefficient at once, in Huffman codes."""
MOST = 65_533
"""Bytes that a segment holds at most."""

_ALONE = {0x01, *range(0xD0, 0xD9)}
_DESCRIPTIVE = {*range(APP1, APP14), 0xEF, COM}
_MARKER = re.compile(rb"\xff+([^\x00\xff\xd0-\xd7])", re.DOTALL)


@dataclass(frozen=True)
class Segment:
    """A marker and what stands behind it, without the length."""

    marker: int
    data: bytes = b""

    def __bytes__(self) -> bytes:
        return marker(self.marker) + struct.pack(">H", len(self.data) + 2) + self.data


@dataclass(frozen=True)
class Frame:
    """What the frame header tells.

    Attributes:
        marker: of the kind of coding: 0xC0 baseline, 0xC2 progressive, 0xC3 lossless, ...
        bits: of a sample.
        width: in pixels.
        height: in pixels.
        components: their identifiers.
    """

    marker: int
    bits: int
    width: int
    height: int
    components: tuple[int, ...]


@dataclass(frozen=True)
class Jpeg:
    """A JPEG file taken apart.

    Attributes:
        frame: its frame header.
        segments: those that describe the picture: APPn and comments.
        coded: the file without them, up to and including the end marker of the first picture.
        ended: whether that marker was there; ``coded`` has it in any case.
        complete: whether the scans give every coefficient to its last bit.
    """

    frame: Frame
    segments: tuple[Segment, ...]
    coded: bytes
    ended: bool
    complete: bool


def marker(code: int) -> bytes:
    """A marker without a segment."""
    return bytes((0xFF, code))


def parse(data: bytes) -> Jpeg:
    """Take a file apart.

    Raises:
        DamagedError: it ends in its header, or has none.
    """
    frame, kept, described, start = None, [marker(SOI)], [], 2
    for segment, end in _header(data):
        start = end
        if segment.marker in _DESCRIPTIVE:
            described.append(segment)
            continue
        if segment.marker == APP14 or segment.marker == APP0:
            described.append(segment)
        if 0xC0 <= segment.marker <= 0xCF and segment.marker not in (DHT, 0xC8, DAC):
            frame = _frame(segment)
        kept.append(bytes(_usual(segment, frame)))
    if frame is None:
        raise DamagedError("it has no frame header")
    end, ended, scans = _scans(data, start, kept[-1][4:])
    body = data[start:end] + marker(EOI)
    return Jpeg(frame, tuple(described), b"".join((*kept, body)), ended, _complete(frame, scans))


def header(data: bytes) -> tuple[Frame | None, list[Segment]]:
    """Frame header and descriptive segments of the beginning of a file, as far as they are whole."""
    frame, described = None, []
    try:
        for segment, _ in _header(data):
            if segment.marker in _DESCRIPTIVE:
                described.append(segment)
            elif 0xC0 <= segment.marker <= 0xCF and segment.marker not in (DHT, 0xC8, DAC):
                frame = _frame(segment)
    except DamagedError:
        pass  # what is wrong with a file is told when it is read
    return frame, described


def _header(data: bytes) -> Iterator[tuple[Segment, int]]:
    """Segments up to and including the first SOS, each with where it ends; junk between them is passed over."""
    position = 2
    while True:
        found = _MARKER.search(data, position)
        if found is None:
            raise DamagedError("the file ends in its header")
        marker, position = found[1][0], found.end()
        if marker in _ALONE:
            continue
        length = int.from_bytes(data[position : position + 2], "big")
        if marker == EOI or length < 2 or position + length > len(data):
            raise DamagedError("the file ends in its header")
        yield Segment(marker, data[position + 2 : position + length]), position + length
        position += length
        if marker == SOS:
            return


def _frame(segment: Segment) -> Frame:
    if len(segment.data) < 6 or len(segment.data) < 6 + 3 * segment.data[5]:
        raise DamagedError("its frame header is cut short")
    bits, height, width, count = struct.unpack(">BHHB", segment.data[:6])
    return Frame(segment.marker, bits, width, height, tuple(segment.data[6 + 3 * i] for i in range(count)))


def _usual(segment: Segment, frame: Frame | None) -> Segment:
    """The header of a sequential scan as it must be; some cameras leave out which coefficients it gives: all."""
    if segment.marker != SOS or frame is None or frame.marker not in SEQUENTIAL:
        return segment
    return Segment(SOS, segment.data[:-3] + b"\0\x3f\0")


def _scans(data: bytes, start: int, first: bytes) -> tuple[int, bool, list[bytes]]:
    """Where the coded data end, whether an end marker stands there, and the headers of all scans."""
    scans, position = [first], start
    while (found := _MARKER.search(data, position)) is not None:
        marker = found[1][0]
        if marker == EOI:
            return found.start(), True, scans
        length = int.from_bytes(data[found.end() : found.end() + 2], "big")
        if marker == SOS:
            scans.append(data[found.end() + 2 : found.end() + length])
        position = found.end() + (0 if marker in _ALONE else length)
    return len(data), False, scans


def _complete(frame: Frame, scans: list[bytes]) -> bool:
    """Whether every coefficient of every component has come down to its lowest bit."""
    missing = {(component, k) for component in frame.components for k in range(64)}
    for scan in scans:
        count = scan[0] if scan else 0
        if len(scan) < 4 + 2 * count:
            continue
        first, last, low = scan[1 + 2 * count], scan[2 + 2 * count], scan[3 + 2 * count] & 15
        if low == 0:
            components = {scan[1 + 2 * i] for i in range(count)}
            missing -= {(component, k) for component in components for k in range(first, last + 1)}
    return not missing
