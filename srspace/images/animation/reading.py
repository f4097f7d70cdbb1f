"""From a file to the frames of an animation, one after the other."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from srspace.errors import ImageError
from srspace.images.containers import DamagedError
from srspace.images.containers import gif as gif_blocks
from srspace.images.kinds import HEAD, recognized
from srspace.images.picture import Picture
from srspace.images.quiet import no_warnings
from srspace.images.readers import apng, gif, webp
from srspace.images.reading import MAX_PIXELS, in_words, read_picture
from srspace.images.timing import Timing

_READERS: dict[str, ModuleType] = {"gif": gif, "png": apng, "webp": webp}


@dataclass(frozen=True)
class Animation:
    """A file of several frames; they are decoded anew each time that they are asked for, so that one is in memory.

    Attributes:
        data: the file.
        format: its format.
        name: what it is called in messages.
        first: the first frame, with colour, metadata and warnings of the file.
        timing: when frames are shown.
        transparent: whether a frame is transparent somewhere.
        neutral: whether R = G = B in every pixel of every frame.
        max_pixels: largest frame accepted, in pixels.
    """

    data: bytes
    format: str
    name: str
    first: Picture
    timing: Timing
    transparent: bool
    neutral: bool
    max_pixels: int = MAX_PIXELS

    def __len__(self) -> int:
        """How many frames there are."""
        return len(self.timing.durations)

    def frames(self) -> Iterator[Picture]:
        """The frames, as they are seen.

        Raises:
            ImageError: one is damaged.
        """
        for samples in _samples(self.format, self.data, self.name, self.max_pixels):
            scaled = samples.astype(np.float32) / np.float32(np.iinfo(samples.dtype).max)
            alpha = np.ascontiguousarray(scaled[..., 3]) if self.transparent else None
            yield replace(
                self.first,
                rgb=np.ascontiguousarray(scaled[..., :3]),
                alpha=alpha,
                grey=False,
                neutral=self.neutral,
            )


def is_animated(data: Any) -> bool:
    """Whether a file, its bytes or a map of them, has several frames; what is damaged has none."""
    try:
        match recognized(data[:HEAD]):
            case "gif":
                return gif_blocks.frames(data, 2) > 1
            case "png":
                return apng.count(data) > 1
            case "webp":
                return webp.count(data) > 1
    except DamagedError:
        pass
    return False


def is_animated_file(path: Path) -> bool:
    """As :func:`is_animated`, of a regular file; anything else has no frames."""
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return is_animated(data)
    except (OSError, ValueError):  # it is empty, or cannot be read; that is told when it is
        return False


def read_animation(data: bytes, name: str, max_pixels: int = MAX_PIXELS) -> Animation | None:
    """Read a file of several frames; None for a still.

    All frames are decoded once, so that a damaged one is found before any work, and dropped again.

    Args:
        data: the file.
        name: what to call it in messages.
        max_pixels: refuse larger frames.

    Raises:
        ImageError: it cannot be read.
    """
    if not is_animated(data):
        return None
    format = str(recognized(data[:HEAD]))
    first = read_picture(data, name=name, max_pixels=max_pixels)
    try:
        timing: Timing = _READERS[format].timing(data)
    except Exception as error:
        raise in_words(error, name, max_pixels) from error
    transparent, neutral, count = False, True, 0
    for samples in _samples(format, data, name, max_pixels):
        count += 1
        transparent = transparent or int(samples[..., 3].min()) < np.iinfo(samples.dtype).max
        neutral = neutral and bool((samples[..., :1] == samples[..., 1:3]).all())
    if count != len(timing.durations):
        raise ImageError(f"{name} is damaged or cut short (a frame is missing).")
    return Animation(data, format, name, first, timing, transparent, neutral, max_pixels)


def _samples(format: str, data: bytes, name: str, max_pixels: int) -> Iterator[np.ndarray]:
    frames = _READERS[format].frames(data, max_pixels)
    while True:
        try:
            with no_warnings():
                samples = next(frames)
        except StopIteration:
            return
        except Exception as error:
            raise in_words(error, name, max_pixels) from error
        yield samples
