"""The perception-distortion plane of a benchmark: its points, and the paths between them.

Blau, Michaeli, "The Perception-Distortion Tradeoff", CVPR 2018, arXiv 1711.06077.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from srspace.benchmark.results import Results
from srspace.benchmark.rows import BICUBIC, Row, read_row
from srspace.metrics import every


@dataclass(frozen=True)
class Point:
    """A row on the plane.

    Attributes:
        row: the row.
        label: what the table calls it.
        x: its distortion.
        y: its perception.
    """

    row: Row
    label: str
    x: float
    y: float


def first_perception(results: Results) -> str:
    """The first metric of perception that some row has scores of; nothing where there is none."""
    for name, metric in every().items():
        if metric.kind == "perception" and any(results.mean(row, name) is not None for row, _ in results.rows):
            return name
    return ""


def points_of(results: Results, distortion: str, perception: str) -> list[Point]:
    """Every row with both metrics but bicubic, which lies so far off that the others would be squeezed together."""
    points = []
    for name, label in results.rows:
        if name == BICUBIC:
            continue
        x, y = results.mean(name, distortion), results.mean(name, perception)
        if x is not None and y is not None and np.isfinite([x, y]).all():
            points.append(Point(read_row(name, label), label, x, y))
    return points


def paths_of(points: Sequence[Point]) -> list[list[Point]]:
    """Trade-off paths, each with what its last point shows at its end.

    They lead along tau through a mode that shows single candidates, from such candidates to what more and more of
    them give, and along a mode's parameters.
    """
    drawn = [p for p in points if p.row.sampled]
    singles = sorted((p for p in drawn if p.row.scored), key=lambda p: (p.row.kind, p.row.temperature or 0))
    merged = sorted((p for p in drawn if not p.row.scored), key=lambda p: (p.row.kind, p.row.samples))
    paths = [list(group) for _, group in groupby(singles, key=lambda p: p.row.kind)]
    for start in singles:
        ends = [p for p in merged if p.row.temperature == start.row.temperature and not p.row.parameters]
        paths += [[start, *group] for _, group in groupby(ends, key=lambda p: p.row.kind)]
    dials = sorted((p for p in points if p.row.parameters), key=lambda p: (*_without_parameters(p), p.row.parameters))
    paths += [list(group) for _, group in groupby(dials, key=_without_parameters)]
    return [path for path in paths if len(path) > 1]


def _without_parameters(point: Point) -> tuple[str, int, float]:
    return point.row.kind, point.row.samples, point.row.temperature or 0.0
