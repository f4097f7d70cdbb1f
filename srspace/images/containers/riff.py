"""Chunks of RIFF files, as WebP uses them.

Reference: Google, "WebP Container Specification".
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from srspace.images.containers.damage import DamagedError

ANIMATED, XMP, EXIF, ALPHA, ICC = 0x02, 0x04, 0x08, 0x10, 0x20
"""Flags of a VP8X chunk."""


@dataclass(frozen=True)
class Chunk:
    """A chunk: four letters and what it holds."""

    type: bytes
    data: bytes

    def __bytes__(self) -> bytes:
        return self.type + struct.pack("<I", len(self.data)) + self.data + b"\0" * (len(self.data) % 2)


def chunks(data: bytes) -> Iterator[Chunk]:
    """The chunks of a WebP file.

    Raises:
        DamagedError: it is shorter than it says.
    """
    if data[:4] != b"RIFF" or data[8:12] != b"WEBP":
        raise DamagedError("it has no RIFF header")
    end = 8 + int.from_bytes(data[4:8], "little")
    if end > len(data) + end % 2:  # some writers leave out the last byte of padding
        raise DamagedError("the file is shorter than it says")
    yield from parts(data[12:end])


def parts(data: bytes) -> Iterator[Chunk]:
    """The chunks that follow each other in ``data``.

    Raises:
        DamagedError: the last one is cut short.
    """
    position = 0
    while position + 8 <= len(data):
        length = int.from_bytes(data[position + 4 : position + 8], "little")
        if position + 8 + length > len(data):
            raise DamagedError("a chunk is cut short")
        yield Chunk(data[position : position + 4], data[position + 8 : position + 8 + length])
        position += 8 + length + length % 2


def joined(found: Iterable[Chunk]) -> bytes:
    """A WebP file of these chunks."""
    body = b"WEBP" + b"".join(map(bytes, found))
    return b"RIFF" + struct.pack("<I", len(body)) + body


def size(chunk: Chunk) -> tuple[int, int] | None:
    """Width and height that a VP8X, VP8 or VP8L chunk tells; None for any other, or a short one."""
    data = chunk.data
    if chunk.type == b"VP8X" and len(data) >= 10:
        return 1 + int.from_bytes(data[4:7], "little"), 1 + int.from_bytes(data[7:10], "little")
    if chunk.type == b"VP8 " and len(data) >= 10:
        width, height = struct.unpack("<HH", data[6:10])
        return width & 0x3FFF, height & 0x3FFF
    if chunk.type == b"VP8L" and len(data) >= 5:
        bits = int.from_bytes(data[1:5], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    return None
