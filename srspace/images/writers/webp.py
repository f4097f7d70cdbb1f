"""WebP, by Pillow."""

from __future__ import annotations

import io
import struct
from dataclasses import replace
from fractions import Fraction
from typing import Any

from srspace.images.colour import Colour
from srspace.images.containers import riff
from srspace.images.containers.riff import Chunk
from srspace.images.metadata import Metadata
from srspace.images.writers.contents import Contents


def encode(contents: Contents) -> bytes:
    """A WebP file."""
    metadata = contents.metadata
    told: dict[str, Any] = {
        "icc_profile": contents.colour.icc_profile, "exif": metadata.exif, "xmp": metadata.xmp
    }  # fmt: skip
    buffer = io.BytesIO()
    contents.for_pillow().save(buffer, "WEBP", **contents.options, **{k: v for k, v in told.items() if v is not None})
    return buffer.getvalue()


class WebpWriter:
    """Takes frame after frame of an animation, and keeps them compressed.

    Args:
        durations: of the frames, in seconds.
        plays: how often they are shown; 0: for ever.
    """

    def __init__(self, durations: tuple[Fraction, ...], plays: int) -> None:
        self._durations, self._plays = durations, plays
        self._frames: list[Chunk] = []
        self._first: Contents | None = None
        self._transparent = False

    def add(self, contents: Contents) -> None:
        """Take a frame."""
        self._first = self._first or replace(contents, samples=contents.samples[:1, :1])
        bare = encode(replace(contents, colour=Colour(), metadata=Metadata()))
        picture = [chunk for chunk in riff.chunks(bare) if chunk.type in (b"ALPH", b"VP8 ", b"VP8L")]
        self._transparent = self._transparent or contents.samples.shape[2] == 4
        self._height, self._width = contents.samples.shape[:2]
        duration = min(round(self._durations[len(self._frames)] * 1000), 2**24 - 1)
        head = bytes(6) + _number(self._width - 1) + _number(self._height - 1) + _number(duration) + b"\2"
        self._frames.append(Chunk(b"ANMF", head + b"".join(map(bytes, picture))))

    def finish(self) -> bytes:
        """The file."""
        contents = self._first
        if contents is None:
            raise ValueError("an animation has frames")
        told = {
            (b"ICCP", riff.ICC): contents.colour.icc_profile,
            (b"EXIF", riff.EXIF): contents.metadata.exif,
            (b"XMP ", riff.XMP): contents.metadata.xmp,
        }
        found = {kind: Chunk(kind[0], data) for kind, data in told.items() if data is not None}
        flags = riff.ANIMATED | sum(flag for _, flag in found) | (riff.ALPHA if self._transparent else 0)
        size = Chunk(b"VP8X", bytes((flags, 0, 0, 0)) + _number(self._width - 1) + _number(self._height - 1))
        repeats = Chunk(b"ANIM", bytes(4) + struct.pack("<H", min(self._plays, 65_535)))
        profile = [chunk for (kind, _), chunk in found.items() if kind == b"ICCP"]
        rest = [chunk for (kind, _), chunk in found.items() if kind != b"ICCP"]
        return riff.joined((size, *profile, repeats, *self._frames, *rest))

    def close(self) -> None:
        """There is nothing to give back."""


def _number(value: int) -> bytes:
    return value.to_bytes(3, "little")
