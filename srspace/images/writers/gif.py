"""GIF: pictures and animations of 256 colours, the same for all frames, dithered by a fixed pattern.

A palette of its own for each frame, or errors carried from pixel to pixel, would let parts that stand still flicker.

References: CompuServe, "Graphics Interchange Format Version 89a", 1990; Adobe, "XMP Specification Part 3"; B. E. Bayer,
"An optimum method for two-level rendition of continuous-tone pictures", 1973.
"""

from __future__ import annotations

import io
import struct
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from srspace.images.metadata import COMMENT, Metadata
from srspace.images.writers.contents import Contents

XMP = b"XMP DataXMP"
_XMP_TRAILER = b"\1" + bytes(range(255, -1, -1)) + b"\0"
_CLEAR = 255
"""Index of the colour that stands for transparent, and for what has not changed since the last frame."""
_SAMPLED = 2**16


@dataclass
class Palette:
    """The colours of all frames.

    Attributes:
        counts: pixels in each of 32 x 32 x 32 boxes of the colour cube.
        sums: of their colours.
    """

    counts: NDArray[np.int64] = field(default_factory=lambda: np.zeros(2**15, np.int64))
    sums: NDArray[np.int64] = field(default_factory=lambda: np.zeros((2**15, 3), np.int64))

    def count(self, samples: NDArray[np.uint8]) -> None:
        """Take in a frame ``(H, W, 3 or 4)``."""
        rgb = samples[..., :3].reshape(-1, 3)
        if samples.shape[2] == 4:
            rgb = rgb[samples[..., 3].ravel() >= 128]
        boxes = (rgb >> 3).astype(np.int64) @ np.array([1024, 32, 1])
        self.counts += np.bincount(boxes, minlength=2**15)
        for channel in range(3):
            self.sums[:, channel] += np.bincount(boxes, rgb[:, channel], 2**15).astype(np.int64)

    def image(self) -> tuple[Image.Image, float]:
        """A palette of 255 colours for Pillow, and how far colours lie from it, in 1/255."""
        filled = np.flatnonzero(self.counts)
        if not len(filled):
            filled = np.array([0])
        colours = (self.sums[filled] / np.maximum(self.counts[filled], 1)[:, None]).round().astype(np.uint8)
        weights = np.sqrt(self.counts[filled].clip(1))  # rare colours count, too
        repeats = np.ceil(weights * (_SAMPLED / weights.sum())).astype(int)
        sampled = Image.fromarray(np.repeat(colours, repeats, axis=0)[None])
        palette = sampled.quantize(_CLEAR, Image.Quantize.MEDIANCUT, kmeans=2)
        nearest = np.asarray(sampled.quantize(palette=palette, dither=Image.Dither.NONE).convert("RGB"), np.float32)
        return palette, float(np.sqrt(((nearest - np.asarray(sampled)) ** 2).mean()))


def lost(contents: Contents) -> tuple[str, ...]:
    """What a GIF of a still does not hold of it, in sentences."""
    samples, warnings = contents.samples, []
    if len(np.unique(samples[..., :3].reshape(-1, 3), axis=0)) > _CLEAR:
        warnings.append(f"its colours were reduced to {_CLEAR}: gif holds no more.")
    if samples.shape[2] == 4 and ((samples[..., 3] > 0) & (samples[..., 3] < 255)).any():
        warnings.append("its partly transparent pixels became opaque or clear: gif holds nothing between.")
    return tuple(warnings)


def encode(contents: Contents) -> bytes:
    """A GIF file of one picture."""
    palette = Palette()
    palette.count(contents.samples)
    return b"".join(animated([contents.samples], palette, [0], None, contents.metadata))


def animated(
    frames: Iterable[NDArray[np.uint8]],
    palette: Palette,
    durations: list[int],
    loop: int | None,
    metadata: Metadata,
) -> Iterator[bytes]:
    """The parts of a GIF file.

    Args:
        frames: ``(H, W, 3 or 4)``, all of one size.
        palette: with all frames counted.
        durations: of the frames, in milliseconds.
        loop: how often they are shown; 0: for ever; None: once, without a word about it.
        metadata: XMP and a comment.
    """
    table, spread = palette.image()
    colours = bytes(table.getpalette() or [])[: 3 * 256].ljust(3 * 256, b"\0")
    before: NDArray[np.uint8] | None = None
    for number, samples in enumerate(frames):
        height, width = samples.shape[:2]
        if number == 0:
            yield b"GIF89a" + struct.pack("<HHBBB", width, height, 0xF7, 0, 0) + colours
            yield from _extensions(loop, metadata)
        transparent = samples.shape[2] == 4
        indices = _indices(samples, table, spread)
        shown = indices if before is None or transparent else np.where(indices == before, np.uint8(_CLEAR), indices)
        before = indices
        clear = transparent or number > 0
        flags = (0x08 if transparent else 0x04) | clear
        yield struct.pack("<4BHBB", 0x21, 0xF9, 4, flags, min(round(durations[number] / 10), 65_535), _CLEAR, 0)
        yield _image_block(shown)
    yield b"\x3b"


class GifWriter:
    """Takes frame after frame of an animation, and keeps them in a temporary file until their colours are counted.

    Args:
        durations: of the frames, in seconds.
        plays: how often they are shown; 0: for ever.
    """

    def __init__(self, durations: tuple[Fraction, ...], plays: int) -> None:
        self._durations, self._plays = durations, plays
        self._palette = Palette()
        self._spool = tempfile.TemporaryFile()  # noqa: SIM115 - until close()
        self._shape: tuple[int, ...] = ()
        self._metadata = Metadata()

    def add(self, contents: Contents) -> None:
        """Take a frame."""
        self._palette.count(contents.samples)
        self._shape, self._metadata = contents.samples.shape, contents.metadata
        self._spool.write(contents.samples.tobytes())

    def finish(self) -> bytes:
        """The file."""
        milliseconds = [round(duration * 1000) for duration in self._durations]
        loop = None if self._plays == 1 else max(self._plays - 1, 0)
        return b"".join(animated(self._frames(), self._palette, milliseconds, loop, self._metadata))

    def close(self) -> None:
        """Give the temporary file back."""
        self._spool.close()

    def _frames(self) -> Iterator[NDArray[np.uint8]]:
        self._spool.seek(0)
        length = int(np.prod(self._shape))
        while len(data := self._spool.read(length)) == length:
            yield np.frombuffer(data, np.uint8).reshape(self._shape)


def _extensions(loop: int | None, metadata: Metadata) -> Iterator[bytes]:
    if loop is not None:
        yield b"\x21\xff\x0bNETSCAPE2.0\x03\x01" + struct.pack("<HB", loop, 0)
    if metadata.xmp is not None:
        yield b"\x21\xff\x0b" + XMP + metadata.xmp + _XMP_TRAILER
    for keyword, text in metadata.texts:
        if keyword == COMMENT and text:
            data = text.encode()
            parts = (data[i : i + 255] for i in range(0, len(data), 255))
            yield b"\x21\xfe" + b"".join(bytes((len(part),)) + part for part in parts) + b"\0"


def _indices(samples: NDArray[np.uint8], table: Image.Image, spread: float) -> NDArray[np.uint8]:
    height, width = samples.shape[:2]
    pattern = np.tile(_bayer(3), (height // 8 + 1, width // 8 + 1))[:height, :width]
    moved = samples[..., :3] + (pattern * 2 * spread)[..., None]
    image = Image.fromarray(moved.round().clip(0, 255).astype(np.uint8))
    indices = np.asarray(image.quantize(palette=table, dither=Image.Dither.NONE))
    if samples.shape[2] == 4:
        indices = np.where(samples[..., 3] < 128, np.uint8(_CLEAR), indices)
    return indices


def _bayer(level: int) -> NDArray[Any]:
    """Thresholds from -0.5 to 0.5, ``2**level`` pixels wide."""
    matrix = np.zeros((1, 1))
    for _ in range(level):
        matrix = np.block([[4 * matrix, 4 * matrix + 2], [4 * matrix + 3, 4 * matrix + 1]])
    return np.asarray((matrix + 0.5) / matrix.size - 0.5)


def _image_block(indices: NDArray[np.uint8]) -> bytes:
    """Pillow's compressed data of a picture, without what it puts before and behind."""
    image = Image.fromarray(indices, "L")
    image = image.convert("P") if image.mode != "P" else image
    buffer = io.BytesIO()
    image.putpalette(bytes(i for i in range(256) for _ in range(3)))
    image.save(buffer, "GIF", interlace=0, optimize=False)
    data = buffer.getvalue()
    start = data.index(b"\x2c", 13 + 768)
    return data[start:-1]
