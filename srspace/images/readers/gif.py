"""GIF: each frame decoded by Pillow, and composed with the others here."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from fractions import Fraction

import numpy as np
from PIL import Image

from srspace.images.canvas import Canvas, Disposal, Patch
from srspace.images.colour import Colour
from srspace.images.containers import DamagedError, gif
from srspace.images.metadata import COMMENT, Packets
from srspace.images.readers.decoded import Decoded, check_pixels
from srspace.images.timing import Timing

_DISPOSALS = {2: Disposal.CLEAR, 3: Disposal.RESTORE}


def read(data: bytes, max_pixels: int) -> Decoded:
    """Decode the first frame.

    Raises:
        UnsupportedError: it is too large.
        DamagedError: it is damaged.
    """
    first = next(frames(data, max_pixels), None)
    if first is None:
        raise DamagedError("it holds no picture")
    for _ in gif.blocks(data):
        pass  # to the end, because a file that is cut short is refused
    told = Packets(xmp=gif.xmp(data), texts=tuple((COMMENT, text) for text in gif.comments(data)))
    profile = gif.profile(data)
    samples = first if first[..., 3].min() < 255 else first[..., :3]
    grey = bool((first[..., :1] == first[..., 1:3]).all()) and (not profile or profile[16:20] == b"GRAY")
    if grey:
        samples = samples[..., (0, 3) if samples.shape[2] == 4 else (0,)]
    return Decoded(samples, colour=Colour(profile), packets=told)


def size(data: bytes) -> tuple[int, int]:
    """Width and height of the canvas."""
    width, height = struct.unpack("<HH", data[6:10])
    return width, height


def timing(data: bytes) -> Timing:
    """When the frames are shown. A file without a word about repeating is shown once."""
    durations, delay, plays = [], 0, 1
    for block in gif.blocks(data):
        if block.label == gif.CONTROL and len(block.data) >= 8:
            delay = int.from_bytes(block.data[4:6], "little")
        elif block.label == gif.APPLICATION and block.data[3:14] == b"NETSCAPE2.0" and len(block.data) >= 18:
            repeats = int.from_bytes(block.data[16:18], "little")
            plays = repeats + 1 if repeats else 0
        elif block.kind == gif.IMAGE:
            durations.append(Fraction(delay, 100))
            delay = 0
    return Timing(tuple(durations), plays)


def frames(data: bytes, max_pixels: int) -> Iterator[np.ndarray]:
    """What is seen at every frame, ``(H, W, 4)`` uint8.

    Raises:
        UnsupportedError: it is too large.
        DamagedError: it is damaged.
    """
    width, height = size(data)
    check_pixels(width, height, max_pixels)
    canvas = Canvas(width, height, np.uint8)
    common = data[13 : gif.screen_end(data)]
    control = (Disposal.KEEP, -1)
    for block in gif.blocks(data):
        if block.label == gif.CONTROL and len(block.data) >= 8:
            flags = block.data[3]
            control = _DISPOSALS.get(flags >> 2 & 7, Disposal.KEEP), block.data[6] if flags & 1 else -1
        elif block.kind == gif.IMAGE:
            yield canvas.show(_patch(block.data, common, *control, max_pixels))
            control = (Disposal.KEEP, -1)


def _patch(block: bytes, common: bytes, disposal: Disposal, transparent: int, max_pixels: int) -> Patch:
    left, top, width, height, flags = struct.unpack("<HHHHB", block[1:10])
    check_pixels(width, height, max_pixels)
    own = 3 * 2 ** ((flags & 7) + 1) if flags & 0x80 else 0
    palette = block[10 : 10 + own] if own else common
    if not palette:
        raise DamagedError("a frame has no palette")
    # A file of this frame alone, at the corner of a canvas of its size, with a palette that Pillow keeps in order.
    head = b"GIF89a" + struct.pack("<HHBBB", width, height, 0xF7, 0, 0) + bytes(range(256)) * 3
    body = b"\x2c" + struct.pack("<HHHHB", 0, 0, width, height, flags & 0x40) + block[10 + own :]
    with Image.open(io.BytesIO(head + body + b"\x3b"), formats=["GIF"]) as image:
        indices = np.asarray(image)
    colours = np.zeros((256, 4), np.uint8)
    table = np.frombuffer(palette, np.uint8).reshape(-1, 3)
    colours[: len(table), :3] = table
    colours[:, 3] = 255
    if transparent >= 0:
        colours[transparent, 3] = 0
    return Patch(colours[indices], left, top, disposal, over=True)
