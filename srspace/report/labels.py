"""Putting labels beside points so that none covers another label, a point or a line where that can be avoided."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.text import Annotation

_DISTANCES = (9.0, 14.0, 20.0, 28.0, 40.0, 56.0, 76.0)
_ANGLES = tuple(range(0, 360, 15))
_MARKER = 7.0
_LEADER_FROM = 20.0
_SIZE = 8.5
_GAP = 2.0
_ROUNDS = 4

Box = tuple[float, float, float, float]
Segment = tuple[float, float, float, float]


@dataclass(frozen=True)
class _Place:
    """Where a label may stand: its box with a gap around it, and the line to its point, as dots."""

    x: float
    y: float
    distance: float
    box: Box
    leader: NDArray[np.float64]


def place_labels(
    axes: Axes, points: Sequence[tuple[str, float, float]], segments: Iterable[Segment] = ()
) -> list[Annotation]:
    """Write every point's label at the free place nearest to it; far ones get a thin line to their point.

    Each label is put where it costs least given the others, in a few rounds; the same input gives the same picture.

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
    markers = [tuple(to_pixels((x, y))) for _, x, y in points]
    lines = _dots([(*to_pixels((x0, y0)), *to_pixels((x1, y1))) for x0, y0, x1, y1 in segments])
    blocked = [(x - _MARKER * pixel, y - _MARKER * pixel, x + _MARKER * pixel, y + _MARKER * pixel) for x, y in markers]
    x0, y0, x1, y1 = axes.get_window_extent(renderer).extents
    frame = (float(x0), float(y0), float(x1), float(y1))
    options = []
    for (text, _, _), marker in zip(points, markers, strict=True):
        probe = axes.text(0, 0, text, fontsize=_SIZE)
        extent = probe.get_window_extent(renderer)
        probe.remove()
        options.append(_places(marker, extent.width, extent.height, pixel))
    fixed = [[_cost_alone(place, own, blocked, lines, frame) for place in places] for own, places in enumerate(options)]
    chosen = _settle(options, fixed)
    return [
        _write(axes, text, x, y, place, marker, pixel)
        for (text, x, y), place, marker in zip(points, chosen, markers, strict=True)
    ]


def _places(marker: tuple[float, float], width: float, height: float, pixel: float) -> list[_Place]:
    places = []
    for distance in _DISTANCES:
        for angle in _ANGLES:
            dx, dy = math.cos(math.radians(angle)), math.sin(math.radians(angle))
            x = marker[0] + dx * (distance * pixel + width / 2)
            y = marker[1] + dy * (distance * pixel + height / 2)
            w, h = width / 2 + _GAP * pixel, height / 2 + _GAP * pixel
            far = distance >= _LEADER_FROM
            leader = _dots([(*marker, x, y)] if far else [])
            places.append(_Place(x, y, distance, (x - w, y - h, x + w, y + h), leader))
    return places


def _cost_alone(place: _Place, own: int, blocked: list[Box], lines: NDArray[np.float64], frame: Box) -> float:
    others = [box for i, box in enumerate(blocked) if i != own]
    return (
        place.distance
        + _outside(place.box, frame) * 100
        + sum(_overlap(place.box, box) for box in blocked) * 30
        + _hits(place.box, lines) * 12
        + sum(_hits(box, place.leader) for box in others) * 60
    )


def _settle(options: list[list[_Place]], fixed: list[list[float]]) -> list[_Place]:
    chosen: list[_Place | None] = [None] * len(options)
    for _ in range(_ROUNDS):
        for i, places in enumerate(options):
            rest = [place for k, place in enumerate(chosen) if place is not None and k != i]
            costs = [
                alone + sum(_clash(place, other) for other in rest)
                for place, alone in zip(places, fixed[i], strict=True)
            ]
            chosen[i] = places[int(np.argmin(costs))]
    return [place for place in chosen if place is not None]


def _clash(a: _Place, b: _Place) -> float:
    crossing = _hits(a.box, b.leader) + _hits(b.box, a.leader)
    if len(a.leader) and len(b.leader):
        crossing += int((np.abs(a.leader[:, None] - b.leader[None]).max(2) < 3).any())
    return _overlap(a.box, b.box) * 100 + crossing * 40


def _write(
    axes: Axes, text: str, x: float, y: float, place: _Place, marker: tuple[float, float], pixel: float
) -> Annotation:
    leader = {"arrowstyle": "-", "color": "0.45", "linewidth": 0.6, "shrinkA": 0, "shrinkB": 5}
    return axes.annotate(
        text,
        (x, y),
        ((place.x - marker[0]) / pixel, (place.y - marker[1]) / pixel),
        textcoords="offset points",
        ha="center",
        va="center",
        fontsize=_SIZE,
        arrowprops=leader if place.distance >= _LEADER_FROM else None,
        zorder=4,
    )


def _overlap(a: Box, b: Box) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    return width * height if width > 0 and height > 0 else 0.0


def _outside(box: Box, frame: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1]) - _overlap(box, frame)


def _dots(segments: Sequence[Segment]) -> NDArray[np.float64]:
    """Points every few pixels along all segments, ``(N, 2)``."""
    dots = [np.empty((0, 2))]
    for x0, y0, x1, y1 in segments:
        count = max(2, int(math.hypot(x1 - x0, y1 - y0) / 4))
        dots.append(np.stack([np.linspace(x0, x1, count), np.linspace(y0, y1, count)], axis=1))
    return np.concatenate(dots)


def _hits(box: Box, dots: NDArray[np.float64]) -> int:
    inside = (dots[:, 0] > box[0]) & (dots[:, 0] < box[2]) & (dots[:, 1] > box[1]) & (dots[:, 1] < box[3])
    return int(inside.sum())
