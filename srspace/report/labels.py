"""Putting labels beside points so that none covers another label, a point or a line where that can be avoided."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.text import Annotation

_DISTANCES = (9.0, 14.0, 20.0, 28.0, 40.0, 56.0)
_ANGLES = tuple(range(0, 360, 15))
_MARKER = 7.0
_LEADER_FROM = 20.0
_SIZE = 8.5

Box = tuple[float, float, float, float]


def place_labels(
    axes: Axes, points: Sequence[tuple[str, float, float]], segments: Iterable[tuple[float, float, float, float]] = ()
) -> list[Annotation]:
    """Write every point's label at the free place nearest to it; far ones get a thin line to their point.

    Greedy, in the order given; the same input always gives the same picture.

    Args:
        axes: already drawn once, so that its limits are final.
        points: label and data coordinates.
        segments: lines to keep clear of, ``(x0, y0, x1, y1)`` in data coordinates.
    """
    figure = axes.get_figure(root=True)
    if figure is None:
        raise ValueError("the axes belong to no figure")
    renderer = figure.canvas.get_renderer()  # type: ignore[attr-defined]
    pixel = renderer.points_to_pixels(1.0)
    to_pixels = axes.transData.transform
    frame = axes.get_window_extent(renderer)
    markers = [tuple(to_pixels((x, y))) for _, x, y in points]
    lines = _sampled([(*to_pixels((x0, y0)), *to_pixels((x1, y1))) for x0, y0, x1, y1 in segments])
    blocked: list[Box] = [_around(x, y, _MARKER * pixel) for x, y in markers]
    placed: list[Box] = []
    written = []
    for (text, x, y), (px, py) in zip(points, markers, strict=True):
        probe = axes.text(0, 0, text, fontsize=_SIZE)
        extent = probe.get_window_extent(renderer)
        probe.remove()
        best: tuple[float, float, float, float, Box] | None = None
        for distance in _DISTANCES:
            for angle in _ANGLES:
                dx, dy = math.cos(math.radians(angle)), math.sin(math.radians(angle))
                cx = px + dx * (distance * pixel + extent.width / 2)
                cy = py + dy * (distance * pixel + extent.height / 2)
                box = (cx - extent.width / 2, cy - extent.height / 2, cx + extent.width / 2, cy + extent.height / 2)
                cost = (
                    _outside(box, (frame.x0, frame.y0, frame.x1, frame.y1)) * 100
                    + sum(_overlap(box, other) for other in placed) * 100
                    + sum(_overlap(box, other) for other in blocked) * 30
                    + _hits(box, lines) * 12.0
                    + distance
                )
                if best is None or cost < best[0]:
                    best = (cost, cx, cy, distance, box)
        if best is None:
            continue
        _, cx, cy, distance, box = best
        placed.append(box)
        leader = {"arrowstyle": "-", "color": "0.5", "linewidth": 0.6, "shrinkA": 1, "shrinkB": 5}
        written.append(
            axes.annotate(
                text,
                (x, y),
                ((cx - px) / pixel, (cy - py) / pixel),
                textcoords="offset points",
                ha="center",
                va="center",
                fontsize=_SIZE,
                arrowprops=leader if distance >= _LEADER_FROM else None,
                zorder=4,
            )
        )
    return written


def _around(x: float, y: float, radius: float) -> Box:
    return (x - radius, y - radius, x + radius, y + radius)


def _overlap(a: Box, b: Box) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    return width * height if width > 0 and height > 0 else 0.0


def _outside(box: Box, frame: Box) -> float:
    area = (box[2] - box[0]) * (box[3] - box[1])
    return area - _overlap(box, frame)


def _sampled(segments: Sequence[Box]) -> NDArray[np.float64]:
    """Points every few pixels along all segments, ``(N, 2)``."""
    dots = [np.empty((0, 2))]
    for x0, y0, x1, y1 in segments:
        count = max(2, int(math.hypot(x1 - x0, y1 - y0) / 4))
        dots.append(np.stack([np.linspace(x0, x1, count), np.linspace(y0, y1, count)], axis=1))
    return np.concatenate(dots)


def _hits(box: Box, dots: NDArray[np.float64]) -> int:
    inside = (dots[:, 0] > box[0]) & (dots[:, 0] < box[2]) & (dots[:, 1] > box[1]) & (dots[:, 1] < box[3])
    return int(inside.sum())
