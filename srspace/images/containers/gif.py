"""Blocks of GIF files.

Reference: CompuServe, "Graphics Interchange Format Version 89a", 1990.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from srspace.images.containers.damage import DamagedError

EXTENSION, IMAGE, TRAILER = 0x21, 0x2C, 0x3B
CONTROL, COMMENT, APPLICATION = 0xF9, 0xFE, 0xFF


@dataclass(frozen=True)
class Block:
    """A block.

    Attributes:
        kind: :data:`EXTENSION`, :data:`IMAGE` or :data:`TRAILER`.
        label: of an extension.
        data: the whole block as it stands in the file.
    """

    kind: int
    label: int
    data: bytes


def blocks(data: bytes) -> Iterator[Block]:
    """All blocks up to and including the trailer.

    Raises:
        DamagedError: the file ends before.
    """
    position = screen_end(data)
    while position < len(data):
        start, kind = position, data[position]
        if kind == 0:  # some programs fill up what stands between blocks
            position += 1
            continue
        if kind == TRAILER:
            yield Block(kind, 0, data[position : position + 1])
            return
        label = data[position + 1] if kind == EXTENSION and position + 1 < len(data) else 0
        if kind == EXTENSION:
            position += 2
        elif kind == IMAGE and position + 10 <= len(data):
            position += 10 + _palette(data[position + 9]) + 1
        else:
            raise DamagedError("an unknown block")
        while position < len(data) and data[position]:
            position += 1 + data[position]
        position += 1
        if position > len(data):
            break
        yield Block(kind, label, data[start:position])
    raise DamagedError("the file ends before its last block")


def screen_end(data: bytes) -> int:
    """Where the blocks begin, behind the screen descriptor and the palette of all frames.

    Raises:
        DamagedError: the file ends before.
    """
    if len(data) < 13 or len(data) < 13 + _palette(data[10]):
        raise DamagedError("the file ends in its header")
    return 13 + _palette(data[10])


def xmp(data: bytes) -> bytes | None:
    """The XMP packet in front of the first frame; None where there is none."""
    for block in blocks(data):
        if block.kind == IMAGE:
            return None
        if block.label == APPLICATION and block.data[3:14] == b"XMP DataXMP":
            return block.data[14:-258]
    return None


def comments(data: bytes) -> list[str]:
    """All comments in front of the first frame."""
    found = []
    for block in blocks(data):
        if block.kind == IMAGE:
            break
        if block.label == COMMENT:
            found.append(_joined(block.data[2:]).decode("utf-8", "replace"))
    return found


def profile(data: bytes) -> bytes | None:
    """The ICC profile in front of the first frame; None where there is none."""
    for block in blocks(data):
        if block.kind == IMAGE:
            return None
        if block.label == APPLICATION and block.data[3:14] == b"ICCRGBG1012":
            return _joined(block.data[14:])
    return None


def frames(data: bytes, most: int | None = None) -> int:
    """How many frames there are, counted up to ``most``; what is damaged counts no further."""
    count = 0
    try:
        for block in blocks(data):
            count += block.kind == IMAGE
            if count == most:
                break
    except DamagedError:
        pass
    return count


def _joined(sub_blocks: bytes) -> bytes:
    parts, position = [], 0
    while position < len(sub_blocks) and sub_blocks[position]:
        parts.append(sub_blocks[position + 1 : position + 1 + sub_blocks[position]])
        position += 1 + sub_blocks[position]
    return b"".join(parts)


def _palette(flags: int) -> int:
    return 3 * 2 ** ((flags & 7) + 1) if flags & 0x80 else 0
