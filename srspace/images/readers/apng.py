"""Frames of APNG files: each decoded as a PNG of its own, and composed here.

Reference: W3C, "Portable Network Graphics (PNG) Specification (Third Edition)", 2025, section 11.3.6.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

from srspace.images import libvips
from srspace.images.canvas import Canvas, Disposal, Patch
from srspace.images.containers import DamagedError, png
from srspace.images.containers.png import Chunk
from srspace.images.readers.decoded import check_pixels
from srspace.images.timing import Timing

_DISPOSALS = {0: Disposal.KEEP, 1: Disposal.CLEAR, 2: Disposal.RESTORE}
_CONTROL = struct.Struct(">IIIIIHHBB")


@dataclass
class _Frame:
    control: tuple[int, ...]
    data: list[Chunk] = field(default_factory=list)

    @property
    def duration(self) -> Fraction:
        numerator, denominator = self.control[5:7]
        return Fraction(numerator, denominator or 100)


def count(data: bytes) -> int:
    """How many frames are promised; 0 for a still."""
    for chunk in png.chunks(data):
        if chunk.type == b"acTL" and len(chunk.data) == 8:
            return int.from_bytes(chunk.data[:4], "big")
        if chunk.type == b"IDAT":
            break
    return 0


def timing(data: bytes) -> Timing:
    """When the frames are shown."""
    found = list(png.chunks(data))
    plays = next((int.from_bytes(c.data[4:8], "big") for c in found if c.type == b"acTL"), 0)
    return Timing(tuple(frame.duration for frame in _frames(found)), plays)


def frames(data: bytes, max_pixels: int) -> Iterator[np.ndarray]:
    """What is seen at every frame, ``(H, W, 4)`` uint8 or uint16.

    Raises:
        UnsupportedError: it is too large.
        DamagedError: it is damaged.
    """
    found = list(png.chunks(data))
    header = png.image_header(found[0])
    check_pixels(header.width, header.height, max_pixels)
    common = [chunk for chunk in found if chunk.type in (b"PLTE", b"tRNS")]
    canvas = Canvas(header.width, header.height, np.uint16 if header.bits == 16 else np.uint8)
    for number, frame in enumerate(_frames(found)):
        _, width, height, left, top, _, _, disposal, blend = frame.control
        inside = left + width <= header.width and top + height <= header.height
        if not inside or disposal not in _DISPOSALS or blend > 1:
            raise DamagedError("a frame lies outside of the picture")
        how = Disposal.CLEAR if number == 0 and disposal == 2 else _DISPOSALS[disposal]
        size = Chunk(b"IHDR", struct.pack(">II", width, height) + found[0].data[8:])
        still = png.joined((size, *common, *frame.data, Chunk(b"IEND", b"")))
        yield canvas.show(Patch(_rgba(still), left, top, how, over=blend == 1))


def _frames(found: list[Chunk]) -> list[_Frame]:
    """The frames with their compressed data; a picture in front of the first control belongs to none."""
    frames: list[_Frame] = []
    expected = 0
    for chunk in found:
        if chunk.type in (b"fcTL", b"fdAT"):
            if len(chunk.data) < 4 or int.from_bytes(chunk.data[:4], "big") != expected:
                raise DamagedError("its frames are out of order")
            expected += 1
        if chunk.type == b"fcTL":
            if len(chunk.data) != _CONTROL.size:
                raise DamagedError("a frame has no size")
            frames.append(_Frame(_CONTROL.unpack(chunk.data)))
        elif chunk.type == b"fdAT" and frames:
            frames[-1].data.append(Chunk(b"IDAT", chunk.data[4:]))
        elif chunk.type == b"IDAT" and frames:
            frames[-1].data.append(chunk)
    promised = next((int.from_bytes(c.data[:4], "big") for c in found if c.type == b"acTL"), 0)
    if promised != len(frames) or not all(frame.data for frame in frames):
        raise DamagedError("a frame is missing")
    return frames


def _rgba(still: bytes) -> np.ndarray:
    samples = libvips.samples(libvips.load().Image.pngload_buffer(still, fail_on="error", unlimited=True))
    if samples.shape[2] < 3:
        samples = samples[..., (0, 0, 0, *range(1, samples.shape[2]))]
    if samples.shape[2] == 3:
        opaque = np.full((*samples.shape[:2], 1), np.iinfo(samples.dtype).max, samples.dtype)
        samples = np.concatenate((samples, opaque), axis=2)
    return samples
