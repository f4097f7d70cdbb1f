"""APNG: the first frame whole, the others as far as they change."""

from __future__ import annotations

import struct
from dataclasses import replace
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from srspace.images.containers import png as container
from srspace.images.containers.png import Chunk
from srspace.images.writers import png
from srspace.images.writers.changes import Changes
from srspace.images.writers.contents import Contents


class ApngWriter:
    """Takes frame after frame, and keeps them compressed.

    Args:
        durations: of the frames, in seconds.
        plays: how often they are shown; 0: for ever.
    """

    def __init__(self, durations: tuple[Fraction, ...], plays: int) -> None:
        self._durations, self._plays = durations, plays
        self._head: list[Chunk] = []
        self._body: list[Chunk] = []
        self._sequence = 0
        self._frames = 0
        self._changes = Changes()

    def add(self, contents: Contents) -> None:
        """Take a frame."""
        rows, columns = _extent(self._changes.of(contents.samples))
        pixels = png.pixels(replace(contents, samples=contents.samples[rows, columns]))
        height, width, top, left = rows.stop - rows.start, columns.stop - columns.start, rows.start, columns.start
        duration = self._durations[self._frames].limit_denominator(1000)
        delay = min(duration.numerator, 65_535), duration.denominator
        self._body.append(self._next(b"fcTL", struct.pack(">IIIIHHBB", width, height, left, top, *delay, 0, 0)))
        if not self._frames:
            described = png.described(contents.colour, contents.metadata)
            control = Chunk(b"acTL", struct.pack(">II", len(self._durations), self._plays))
            self._head = [pixels[0], control, *described]
        for chunk in pixels:
            if chunk.type == b"IDAT":
                self._body.append(self._next(b"fdAT", chunk.data) if self._frames else chunk)
        self._frames += 1

    def finish(self) -> bytes:
        """The file."""
        return container.joined((*self._head, *self._body, Chunk(b"IEND", b"")))

    def close(self) -> None:
        """There is nothing to give back."""

    def _next(self, kind: bytes, data: bytes) -> Chunk:
        chunk = Chunk(kind, struct.pack(">I", self._sequence) + data)
        self._sequence += 1
        return chunk


def _extent(changed: NDArray[np.bool_]) -> tuple[slice, slice]:
    """The rows and columns of what has changed; one pixel where nothing has."""
    rows, columns = (np.flatnonzero(changed.any(axis)) for axis in (1, 0))
    if not len(rows):
        return slice(0, 1), slice(0, 1)
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)
