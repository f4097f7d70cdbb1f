"""Directories of TIFF and EXIF, written.

Reference: Adobe, "TIFF Revision 6.0", 1992.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import replace

from srspace.images.containers.tiff import LONG, LONG8, SIZES, Directory, Entry, Order, Tree


def reordered(directory: Directory, order: Order, wanted: Order) -> Directory:
    """The same directory with its numbers in another byte order."""
    if order == wanted:
        return directory
    entries = {tag: replace(entry, data=_swapped(entry)) for tag, entry in directory.entries.items()}
    inner = {tag: [reordered(child, order, wanted) for child in found] for tag, found in directory.children.items()}
    return Directory(entries, inner)


def serialized(tree: Tree, pinned: int | None = None) -> bytes:
    """The first directory of a tree, with what it points to, as a classic TIFF file without pixels.

    Args:
        tree: the directories.
        pinned: tag of a field whose data keep their place.
    """
    return _Writer(tree.order, 8, pinned).file(tree.chain[0])


def with_directory(data: bytes, tree: Tree, directory: Directory) -> bytes:
    """A file that has but one directory, put at its end.

    Args:
        data: the file.
        tree: what was read of it.
        directory: the new one.
    """
    padding = bytes(-len(data) % 8)
    writer = _Writer(tree.order, len(data) + len(padding), None, big=tree.big)
    offset = writer.place(directory)
    head = struct.pack(f"{tree.order}Q", offset) if tree.big else struct.pack(f"{tree.order}I", offset)
    start = 8 if tree.big else 4
    return b"".join((data[:start], head, data[start + len(head) :], padding, writer.written(len(data) + len(padding))))


class _Writer:
    """Gives every directory and every long value its place, one after the other, round the one that is pinned."""

    def __init__(self, order: Order, start: int, pinned: int | None, *, big: bool = False) -> None:
        self._order, self._pinned = order, pinned
        # How a number of fields, a number of values, and an offset are written.
        self._fields, self._values, self._offset = ("Q", "Q", "Q") if big else ("H", "I", "I")
        self._free = start
        self._pieces: dict[int, bytes] = {}
        self._reserved: tuple[int, int] | None = None

    def file(self, first: Directory) -> bytes:
        for entry in (d.entries[self._pinned] for d in _all(first) if self._pinned in d.entries):
            if len(entry.data) > 4 and entry.offset >= 8:
                self._reserved = (entry.offset, entry.offset + len(entry.data))
        offset = self.place(first)
        mark = b"II" if self._order == "<" else b"MM"
        return mark + struct.pack(f"{self._order}HI", 42, offset) + self.written(8)

    def place(self, directory: Directory) -> int:
        tags = sorted({*directory.entries, *directory.children})
        width = struct.calcsize(self._offset)
        offset = self._room(struct.calcsize(self._fields) + (4 + 2 * width) * len(tags) + width)
        body = struct.pack(f"{self._order}{self._fields}", len(tags))
        for tag in tags:
            if tag in directory.children:
                offsets = [self.place(child) for child in directory.children[tag]]
                kind = LONG if self._offset == "I" else LONG8
                entry = Entry(kind, struct.pack(f"{self._order}{len(offsets)}{self._offset}", *offsets))
            else:
                entry = directory.entries[tag]
            kept = self._reserved[0] if tag == self._pinned and self._reserved is not None else None
            head = struct.pack(f"{self._order}HH{self._values}", tag, entry.type, entry.count)
            body += head + self._value(entry.data, kept)
        self._pieces[offset] = body + bytes(width)
        return offset

    def written(self, start: int) -> bytes:
        end = max((offset + len(piece) for offset, piece in self._pieces.items()), default=start)
        out = bytearray(end - start)
        for offset, piece in self._pieces.items():
            out[offset - start : offset - start + len(piece)] = piece
        return bytes(out)

    def _value(self, data: bytes, kept: int | None) -> bytes:
        width = struct.calcsize(self._offset)
        if len(data) <= width:
            return data.ljust(width, b"\0")
        offset = self._room(len(data)) if kept is None else kept
        self._pieces[offset] = data
        return struct.pack(f"{self._order}{self._offset}", offset)

    def _room(self, length: int) -> int:
        offset = self._free
        if self._reserved is not None and offset < self._reserved[1] and offset + length > self._reserved[0]:
            offset = self._reserved[1] + self._reserved[1] % 2
        self._free = offset + length + length % 2
        return offset


def _swapped(entry: Entry) -> bytes:
    width = 4 if entry.type in (5, 10) else SIZES[entry.type]
    return b"".join(entry.data[i : i + width][::-1] for i in range(0, len(entry.data), width))


def _all(directory: Directory) -> Iterator[Directory]:
    yield directory
    for children in directory.children.values():
        for child in children:
            yield from _all(child)
