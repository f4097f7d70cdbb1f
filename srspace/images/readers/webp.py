"""WebP: stills, and the frames of animations, decoded and composed by Pillow.

Reference: Google, "WebP Container Specification".
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import numpy as np

from srspace.images.colour import Colour
from srspace.images.containers import DamagedError, riff
from srspace.images.metadata import Packets
from srspace.images.readers.decoded import Decoded, check_pixels
from srspace.images.readers.pillow import opened, samples_of
from srspace.images.timing import Timing


def read(data: bytes, max_pixels: int) -> Decoded:
    """Decode a still; of an animation, the first frame.

    Raises:
        UnsupportedError: it is too large.
        DamagedError: it is damaged.
    """
    chunks = list(riff.chunks(data))
    sizes = [found for chunk in chunks if (found := riff.size(chunk)) is not None]
    if not sizes:
        raise DamagedError("it holds no picture")
    check_pixels(*sizes[0], max_pixels)
    with opened(data, "WEBP", max_pixels) as image:
        colour, packets = _described(chunks)
        return Decoded(samples_of(image), colour=colour, packets=packets)


def count(data: bytes) -> int:
    """How many frames there are; 0 for a still."""
    return sum(chunk.type == b"ANMF" for chunk in riff.chunks(data))


def timing(data: bytes) -> Timing:
    """When the frames are shown."""
    durations, plays = [], 0
    for chunk in riff.chunks(data):
        if chunk.type == b"ANIM":
            plays = int.from_bytes(chunk.data[4:6], "little")
        elif chunk.type == b"ANMF":
            durations.append(Fraction(int.from_bytes(chunk.data[12:15], "little"), 1000))
    return Timing(tuple(durations), plays)


def frames(data: bytes, max_pixels: int) -> Iterator[np.ndarray]:
    """What is seen at every frame, ``(H, W, 4)`` uint8.

    Raises:
        UnsupportedError: it is too large.
    """
    size = next((found for chunk in riff.chunks(data) if (found := riff.size(chunk)) is not None), (0, 0))
    check_pixels(*size, max_pixels)
    with opened(data, "WEBP", max_pixels) as image:
        for number in range(count(data)):
            image.seek(number)
            image.load()
            yield np.asarray(image.convert("RGBA"))


def _described(chunks: list[riff.Chunk]) -> tuple[Colour, Packets]:
    """What the chunks beside the pixels tell."""
    by_type = {chunk.type: chunk.data for chunk in reversed(chunks)}
    return Colour(by_type.get(b"ICCP")), Packets(exif=by_type.get(b"EXIF"), xmp=by_type.get(b"XMP "))
