"""Pictures inside a page: as WebP, as good as the page's size allows."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from PIL import Image

BYTES_PER_PAGE = 10_000_000
"""Of pictures in a page whose result has up to one megapixel; a third more as text."""

LOSSLESS = 100
_QUALITIES = (LOSSLESS, 95, 90, 85, 80, 70, 60)
_TRIED = 4


def webp(image: NDArray[np.uint8], quality: int = LOSSLESS, *, icc_profile: bytes | None = None) -> bytes:
    """``(H, W, 3)`` or ``(H, W)`` as WebP; quality 100 is lossless."""
    buffer = io.BytesIO()
    options = {"lossless": True, "quality": 50} if quality == LOSSLESS else {"quality": quality}
    Image.fromarray(image).save(buffer, "WEBP", method=3, icc_profile=icc_profile or b"", **options)
    return buffer.getvalue()


def encoded(
    images: Mapping[str, NDArray[np.uint8]], *, budget: int | None = None, icc_profile: bytes | None = None
) -> tuple[dict[str, bytes], int]:
    """All pictures at the best quality at which they fit the page together.

    Args:
        images: ``(H, W, 3)`` each.
        budget: bytes for all of them (None: :data:`BYTES_PER_PAGE` for every megapixel of the largest one, and never
            less).
        icc_profile: colour profile of all.

    Returns:
        The files by name, and the quality from 60 to 100 (lossless). The lowest one is taken even where it does not
        fit.
    """
    if not images:
        return {}, LOSSLESS
    if budget is None:
        pixels = max(image.shape[0] * image.shape[1] for image in images.values())
        budget = round(BYTES_PER_PAGE * max(1.0, pixels / 1e6))
    names = list(images)
    few = names[:: max(1, len(names) // _TRIED)]
    for quality in _QUALITIES:
        # A few pictures tell whether trying all of them is worth the time.
        tried = {name: webp(images[name], quality, icc_profile=icc_profile) for name in few}
        if _size(tried) * len(names) / len(few) > 1.1 * budget and quality != _QUALITIES[-1]:
            continue
        rest = (name for name in names if name not in tried)
        found = tried | {name: webp(images[name], quality, icc_profile=icc_profile) for name in rest}
        if _size(found) <= budget or quality == _QUALITIES[-1]:
            break
    return {name: found[name] for name in names}, quality


def data_uri(content: bytes, kind: str = "image/webp") -> str:
    """The file as an address that holds it."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def _size(found: Mapping[str, bytes]) -> int:
    return sum(len(content) for content in found.values())
