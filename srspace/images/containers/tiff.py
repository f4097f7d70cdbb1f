"""Directories of TIFF files and of EXIF, which is one: read with the types of their fields.

Reference: Adobe, "TIFF Revision 6.0", 1992; CIPA DC-008 (Exif).
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from srspace.images.containers.damage import DamagedError

BYTE, ASCII, SHORT, LONG, RATIONAL, UNDEFINED, LONG8 = 1, 2, 3, 4, 5, 7, 16

SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_CODES = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 11: "f", 12: "d", 13: "I", 16: "Q", 17: "q", 18: "Q"}
_MOST_ENTRIES = 4096
Order = Literal["<", ">"]


@dataclass(frozen=True)
class Entry:
    """A field of a directory.

    Attributes:
        type: of its values, as TIFF numbers types.
        data: its values as bytes, in the byte order of the file.
        offset: where ``data`` stood; data that refer to themselves by offsets, as maker notes do, must stay there.
    """

    type: int
    data: bytes
    offset: int = 0

    @property
    def count(self) -> int:
        return len(self.data) // SIZES[self.type]


@dataclass
class Directory:
    """Fields by tag, and the directories that some of them point to."""

    entries: dict[int, Entry] = field(default_factory=dict)
    children: dict[int, list[Directory]] = field(default_factory=dict)


@dataclass
class Tree:
    """A file's chain of directories.

    Attributes:
        order: ``"<"`` little-endian, ``">"`` big-endian.
        chain: the directories, one a page; in EXIF the second one is the thumbnail's.
        damaged: whether something could not be read and is missing here.
        big: whether offsets have 64 bits (BigTIFF).
    """

    order: Order
    chain: list[Directory]
    damaged: bool = False
    big: bool = False

    def numbers(self, directory: Directory, tag: int) -> tuple[float, ...]:
        """The values of a field, ratios as numbers; none where there is no such field, or it holds no numbers."""
        entry = directory.entries.get(tag)
        if entry is None:
            return ()
        if entry.type in (5, 10):
            code = "I" if entry.type == 5 else "i"
            flat = struct.unpack(f"{self.order}{2 * entry.count}{code}", entry.data[: 8 * entry.count])
            return tuple(a / b if b else 0.0 for a, b in zip(flat[::2], flat[1::2], strict=True))
        if entry.type not in _CODES:
            return ()
        whole = entry.data[: SIZES[entry.type] * entry.count]
        return struct.unpack(f"{self.order}{entry.count}{_CODES[entry.type]}", whole)

    def number(self, directory: Directory, tag: int, default: int = 0) -> int:
        """The first value of a field of whole numbers."""
        values = self.numbers(directory, tag)
        return int(values[0]) if values else default

    def short(self, value: int) -> Entry:
        """A field of one 16-bit number."""
        return Entry(SHORT, struct.pack(f"{self.order}H", value))

    def whole(self, value: int) -> Entry:
        """A field of one 32-bit number."""
        return Entry(LONG, struct.pack(f"{self.order}I", value))

    def ratio(self, value: float) -> Entry:
        """A field of one number from 0 on, to four decimals."""
        return Entry(RATIONAL, struct.pack(f"{self.order}II", round(value * 10_000), 10_000))


def parse(data: bytes, children: Mapping[int, tuple[int, ...]]) -> Tree:
    """Read the directories of a file; fields that point outside of it are left out.

    Args:
        data: the file.
        children: tags whose values are offsets of directories, each with the tags of which that holds there.

    Raises:
        DamagedError: it has no directory.
    """
    marks: dict[bytes, Order] = {b"II": "<", b"MM": ">"}
    order = marks.get(data[:2])
    if order is None or len(data) < 8:
        raise DamagedError("it has no TIFF header")
    (version,) = struct.unpack(f"{order}H", data[2:4])
    if version == 43 and len(data) >= 16:
        first, big = struct.unpack(f"{order}Q", data[8:16])[0], True
    elif version in (42, 0x55):
        first, big = struct.unpack(f"{order}I", data[4:8])[0], False
    else:
        raise DamagedError("it has no TIFF header")
    return _Reader(data, order, big, children).tree(first)


class _Reader:
    def __init__(self, data: bytes, order: Order, big: bool, children: Mapping[int, tuple[int, ...]]) -> None:
        self._data, self._order, self._big, self._children = data, order, big, children
        self._damaged = False
        self._seen: set[int] = set()

    def tree(self, offset: int) -> Tree:
        chain: list[Directory] = []
        while offset and offset not in self._seen and len(chain) < _MOST_ENTRIES:
            found = self._directory(offset, tuple(self._children))
            if found is None:
                self._damaged = True
                break
            chain.append(found[0])
            offset = found[1]
        if not chain:
            raise DamagedError("it has no directory")
        return Tree(self._order, chain, self._damaged, self._big)

    def _directory(self, offset: int, nested: tuple[int, ...]) -> tuple[Directory, int] | None:
        self._seen.add(offset)
        head, step = ("Q", 20) if self._big else ("H", 12)
        start = offset + struct.calcsize(head)
        if start > len(self._data):
            return None
        (count,) = struct.unpack(f"{self._order}{head}", self._data[offset:start])
        end = start + step * count
        if count > _MOST_ENTRIES or end > len(self._data):
            return None
        directory = Directory()
        for position in range(start, end, step):
            self._entry(directory, position, nested)
        tail = "Q" if self._big else "I"
        rest = self._data[end : end + struct.calcsize(tail)]
        following = struct.unpack(f"{self._order}{tail}", rest)[0] if len(rest) == struct.calcsize(tail) else 0
        return directory, following

    def _entry(self, directory: Directory, position: int, nested: tuple[int, ...]) -> None:
        code, width = ("Q", 8) if self._big else ("I", 4)
        tag, kind, count = struct.unpack(f"{self._order}HH{code}", self._data[position : position + 4 + width])
        place = position + 4 + width
        length = count * SIZES.get(kind, 0)
        if length > width:
            (place,) = struct.unpack(f"{self._order}{code}", self._data[place : place + width])
        if kind not in SIZES or place + length > len(self._data):
            self._damaged = True
            return
        entry = Entry(kind, self._data[place : place + length], place)
        if tag in nested and entry.type in (4, 13, 16, 18):
            codes = f"{self._order}{entry.count}{_CODES[entry.type]}"
            for offset in struct.unpack(codes, entry.data)[:64]:
                found = None if offset in self._seen else self._directory(offset, self._children[tag])
                if found is None:
                    self._damaged = True
                else:
                    directory.children.setdefault(tag, []).append(found[0])
        else:
            directory.entries[tag] = entry
