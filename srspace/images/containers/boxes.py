"""Boxes of the ISO base media file format, as AVIF, HEIC, JPEG 2000 and JPEG XL use them.

Reference: ISO/IEC 14496-12; ISO/IEC 15444-1 Annex I; ISO/IEC 23008-12 (HEIF).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

_FULL = {b"meta": 4}
"""Boxes with a version and flags before what they contain, and how many bytes those take."""


@dataclass(frozen=True)
class Box:
    """A box.

    Attributes:
        type: four letters.
        start: where its content begins.
        end: where it ends.
    """

    type: bytes
    start: int
    end: int


def boxes(data: bytes, start: int = 0, end: int | None = None) -> Iterator[Box]:
    """The boxes between two places; a box that is cut short ends where the data end."""
    position, end = start, len(data) if end is None else min(end, len(data))
    while position + 8 <= end:
        length, kind = struct.unpack(">I4s", data[position : position + 8])
        content = position + 8
        if length == 1:
            length = int.from_bytes(data[content : content + 8], "big")
            content += 8
        elif length == 0:
            length = end - position
        if length < content - position:
            return
        yield Box(kind, content, min(position + length, end))
        position += length


def inside(data: bytes, *path: bytes) -> Iterator[Box]:
    """All boxes at a path such as ``b"meta", b"iprp", b"ipco", b"colr"``."""
    level = list(boxes(data))
    for depth, kind in enumerate(path):
        found = [box for box in level if box.type == kind]
        if depth == len(path) - 1:
            yield from found
            return
        level = [inner for box in found for inner in boxes(data, box.start + _FULL.get(kind, 0), box.end)]


def box(kind: bytes, content: bytes) -> bytes:
    """A box as bytes."""
    return struct.pack(">I4s", len(content) + 8, kind) + content
