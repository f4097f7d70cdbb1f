"""Picture files for tests."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pyvips
from PIL import Image


def picture(path: Path, size: tuple[int, int] = (8, 6), seed: int = 0) -> Path:
    """A file of noise, in the format that its name says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    Image.fromarray(rng.integers(90, 160, (size[1], size[0], 3), np.uint8)).save(path)
    return path


def one_by_one(folder: Path, count: int) -> Path:
    """A folder of pictures that are computed one by one, for rounding depends on how many are computed together.

    The sixth is none.
    """
    for index in range(count):
        picture(folder / f"{index:02}.png", (8 + index, 6), seed=index)
    (folder / "05.png").write_bytes(b"no picture")
    return folder


def encoded(image: Image.Image, format: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def deep(samples: np.ndarray, interpretation: str = "rgb16") -> pyvips.Image:
    """A picture of 16 bits a sample, as libvips holds it."""
    return pyvips.Image.new_from_array(samples).copy(interpretation=interpretation)
