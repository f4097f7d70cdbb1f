"""The parts of a picture that are looked at: all of a small one, some of a large one."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from srspace.images import Picture

SIDE = 64
MOST = 32
_SMALLEST = 24
_LOOKED_AT = 192

Levels = NDArray[np.float32]


def crops_of(picture: Picture) -> Levels:
    """At most 32 parts of 64x64 pixels, always the same ones of the same picture.

    A small picture is covered. Of a large one, half are the most detailed of some places spread over it, and half are
    taken evenly from the others. Sides below 24 pixels are mirrored.

    Args:
        picture: of any size and depth; deeper samples are rounded to 8 bits, so that their depth says nothing.

    Returns:
        ``(N, h, w, 3)`` float32, whole 8-bit levels from 0 to 255.
    """
    rgb = picture.filled
    height, width = min(picture.height, SIDE), min(picture.width, SIDE)
    rows, columns = _starts(picture.height), _starts(picture.width)
    places = [(top, left) for top in rows for left in columns]
    if len(places) > MOST:
        places = _chosen(rgb, [places[i] for i in _spread(len(places), min(_LOOKED_AT, len(places)))])
    parts = [rgb[top : top + height, left : left + width] for top, left in places]
    levels = np.rint(np.clip(np.stack(parts), 0, 1) * 255).astype(np.float32)
    short = [(0, 0), *((0, max(0, _SMALLEST - side)) for side in (height, width)), (0, 0)]
    return np.pad(levels, short, "symmetric")


def _starts(length: int) -> list[int]:
    count = math.ceil(length / SIDE)
    last = max(0, length - SIDE)
    return [round(last * i / max(1, count - 1)) for i in range(count)]


def _spread(length: int, count: int) -> list[int]:
    """``count`` of ``length`` indices that lie in no regular pattern: a Weyl sequence of the golden ratio."""
    order = np.argsort(np.arange(length) * ((math.sqrt(5) - 1) / 2) % 1, kind="stable")
    return sorted(int(i) for i in order[np.linspace(0, length - 1, count).round().astype(int)])


def _chosen(rgb: NDArray[np.float32], places: list[tuple[int, int]]) -> list[tuple[int, int]]:
    parts = np.stack([rgb[top : top + SIDE : 2, left : left + SIDE : 2, 1] for top, left in places])
    detail = np.abs(np.diff(parts, axis=1)).mean((1, 2)) + np.abs(np.diff(parts, axis=2)).mean((1, 2))
    order = np.argsort(-detail, kind="stable")
    most, others = order[: MOST // 2], order[MOST // 2 :]
    evenly = others[np.linspace(0, len(others) - 1, MOST - len(most)).round().astype(int)]
    return [places[i] for i in (*most, *evenly)]
