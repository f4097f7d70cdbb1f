"""Properties of the picture in AVIF and HEIC files.

Reference: ISO/IEC 23008-12 (HEIF), clauses 6 and 9.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from srspace.images.containers.boxes import Box, boxes, inside


@dataclass(frozen=True)
class Properties:
    """What is told of the primary item.

    Attributes:
        colour: primaries and transfer of an nclx colour box.
        size: width and height, in pixels before any turning.
        bits: of a sample.
        aperture: left, top, width and height of the clean aperture, in pixels before any turning.
    """

    colour: tuple[int, int] | None = None
    size: tuple[int, int] | None = None
    bits: int = 8
    aperture: tuple[int, int, int, int] | None = None


def properties(data: bytes) -> Properties:
    """Read them; what is missing or damaged has its default."""
    every = [
        box
        for container in inside(data, b"meta", b"iprp", b"ipco")
        for box in boxes(data, container.start, container.end)
    ]
    chosen = [every[i - 1] for i in _associated(data) if 0 < i <= len(every)]
    colour, size, depths, clap = None, None, [], None
    for box in chosen or every:
        content = data[box.start : box.end]
        if box.type == b"colr" and content[:4] == b"nclx" and len(content) >= 8:
            colour = struct.unpack(">HH", content[4:8])
        elif box.type == b"ispe" and len(content) >= 12:
            size = struct.unpack(">II", content[4:12])
        elif box.type == b"pixi" and len(content) >= 6:
            depths = [*content[5 : 5 + content[4]]]
        elif box.type == b"clap" and len(content) >= 32:
            clap = struct.unpack(">IIIIiIiI", content[:32])
    if not depths:  # a grid tells it of its tiles alone
        depths = [_av1_bits(data[box.start : box.end]) for box in every if box.type == b"av1C"]
    aperture = None if clap is None or size is None else _rectangle(clap, size)
    return Properties(colour, size, max(depths, default=8), aperture)


def with_colour(data: bytes, colour: tuple[int, int]) -> bytes:
    """A file with other primaries and another transfer function in its nclx colour box."""
    patched = bytearray(data)
    for box in inside(data, b"meta", b"iprp", b"ipco", b"colr"):
        if data[box.start : box.start + 4] == b"nclx":
            patched[box.start + 4 : box.start + 8] = struct.pack(">HH", *colour)
    return bytes(patched)


def _associated(data: bytes) -> list[int]:
    """Which properties belong to the primary item, counted from 1."""
    primary = next(
        (_number(data, box, 2 if data[box.start] == 0 else 4) for box in inside(data, b"meta", b"pitm")), None
    )
    for box in inside(data, b"meta", b"iprp", b"ipma"):
        content = data[box.start : box.end]
        if len(content) < 8 or primary is None:
            continue
        wide, step = content[0] > 0, 2 if content[3] & 1 else 1
        position = 8
        for _ in range(min(int.from_bytes(content[4:8], "big"), len(content))):
            id_end = position + (4 if wide else 2)
            item, count = int.from_bytes(content[position:id_end], "big"), content[id_end : id_end + 1]
            if not count:
                break
            position = id_end + 1 + step * count[0]
            if item == primary:
                found = range(id_end + 1, min(position, len(content) - step + 1), step)
                return [int.from_bytes(content[i : i + step], "big") & (0x7F if step == 1 else 0x7FFF) for i in found]
    return []


def _number(data: bytes, box: Box, length: int) -> int:
    return int.from_bytes(data[box.start + 4 : box.start + 4 + length], "big")


def _av1_bits(content: bytes) -> int:
    flags = content[2] if len(content) > 2 else 0
    return 8 if not flags & 0x40 else 12 if flags & 0x20 else 10


def _rectangle(clap: tuple[int, ...], size: tuple[int, ...]) -> tuple[int, int, int, int] | None:
    if 0 in clap[1::2]:
        return None
    width, height, across, down = (n / d for n, d in zip(clap[::2], clap[1::2], strict=True))
    left, top = round((size[0] - width) / 2 + across), round((size[1] - height) / 2 + down)
    inner = left, top, round(width), round(height)
    whole = left >= 0 and top >= 0 and 0 < inner[2] <= size[0] - left and 0 < inner[3] <= size[1] - top
    return inner if whole else None
