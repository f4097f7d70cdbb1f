"""APNG: every frame a whole picture, so that any program shows it right."""

from __future__ import annotations

import struct
from fractions import Fraction

from srspace.images.containers import png as container
from srspace.images.containers.png import Chunk
from srspace.images.writers import png
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

    def add(self, contents: Contents) -> None:
        """Take a frame."""
        pixels = png.pixels(contents)
        height, width = contents.samples.shape[:2]
        duration = self._durations[self._frames].limit_denominator(1000)
        delay = min(duration.numerator, 65_535), duration.denominator
        self._body.append(self._next(b"fcTL", struct.pack(">IIIIHHBB", width, height, 0, 0, *delay, 0, 0)))
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
