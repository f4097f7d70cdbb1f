"""WebP, by Pillow."""

from __future__ import annotations

import struct
from dataclasses import replace
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from srspace.images.colour import Colour
from srspace.images.containers import riff
from srspace.images.containers.riff import Chunk
from srspace.images.metadata import Metadata
from srspace.images.writers.changes import Changes
from srspace.images.writers.contents import Contents

_BLOCK = 8
_OVER, _INSTEAD = b"\0", b"\2"


def encode(contents: Contents) -> bytes:
    """A WebP file."""
    metadata = contents.metadata
    return contents.by_pillow("WEBP", icc_profile=contents.colour.icc_profile, exif=metadata.exif, xmp=metadata.xmp)


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
        self._changes = Changes()
        self._transparent = False

    def add(self, contents: Contents) -> None:
        """Take a frame."""
        self._first = self._first or replace(contents, samples=contents.samples[:1, :1])
        samples, over = self._laid_over(contents.samples)
        bare = encode(replace(contents, samples=samples, colour=Colour(), metadata=Metadata()))
        picture = [chunk for chunk in riff.chunks(bare) if chunk.type in (b"ALPH", b"VP8 ", b"VP8L")]
        self._transparent = self._transparent or samples.shape[2] == 4
        self._height, self._width = samples.shape[:2]
        duration = min(round(self._durations[len(self._frames)] * 1000), 2**24 - 1)
        head = bytes(6) + b"".join(map(_number, (self._width - 1, self._height - 1, duration)))
        head += _OVER if over else _INSTEAD
        self._frames.append(Chunk(b"ANMF", head + b"".join(map(bytes, picture))))

    def _laid_over(self, samples: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], bool]:
        """A frame, and whether it is laid over what is seen; then it is clear where nothing has changed."""
        if samples.shape[2] == 4:
            return samples, False
        changed = self._changes.of(samples)
        if changed.all():
            return samples, False
        return np.dstack((samples, _blocks(changed).astype(np.uint8) * np.uint8(255))), True

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


def _blocks(changed: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The same, for whole blocks as they are coded."""
    height, width = changed.shape
    padded = np.pad(changed, ((0, -height % _BLOCK), (0, -width % _BLOCK)))
    found = padded.reshape(padded.shape[0] // _BLOCK, _BLOCK, -1, _BLOCK).any((1, 3))
    return found.repeat(_BLOCK, 0).repeat(_BLOCK, 1)[:height, :width]


def _number(value: int) -> bytes:
    return value.to_bytes(3, "little")
