"""The page of one benchmark: its figures as data, in the template."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from srspace import __version__
from srspace.benchmark.results import Results
from srspace.metrics import describe
from srspace.report.comparison import bootstrap
from srspace.report.page.document import Document
from srspace.report.page.pictures import data_uri, webp
from srspace.report.plane import first_perception, paths_of, points_of
from srspace.report.summary.examples import Crop, Example, ranking
from srspace.report.tables import make_table

_DISTORTION = "psnr"
_SCRIPTS = ("page/assets/table.js", "page/assets/plane.js", "summary/assets/summary.js")


def to_html(results: Results, examples: Sequence[Example] = (), *, confidence: float = 0.95, seed: int = 0) -> str:
    """The page as HTML, complete in itself.

    Args:
        results: what was measured.
        examples: pictures to show.
        confidence: coverage of the intervals (bootstrap over the images).
        seed: of the bootstrap.
    """
    count = len(results.images)
    return Document(
        title=f"{results.dataset}: benchmark",
        template="summary/assets/summary.html",
        styles=("summary/assets/summary.css",),
        scripts=_SCRIPTS,
        slots={
            "dataset": results.dataset,
            "confidence": f"{100 * confidence:g} %",
            "images": f"{count} image{'s' if count != 1 else ''}",
            "version": __version__,
        },
        data={
            "metrics": [_column(results, name) for name in results.metrics],
            "rows": [_row(results, name, label, confidence, seed) for name, label in results.rows],
            "plane": _plane(results),
            "ranking": _ranking(results),
            "examples": [_example(example) for example in examples],
            "notes": [*make_table(results).notes, *results.failures.values()],
        },
    ).html()


def _column(results: Results, name: str) -> dict[str, Any]:
    metric = describe(name)
    return {
        "name": name,
        "title": metric.heading(results.lpips_net),
        "unit": metric.unit if metric.unit != metric.title else "",
        "decimals": metric.decimals,
        "higher": metric.higher_is_better,
    }


def _row(results: Results, name: str, label: str, confidence: float, seed: int) -> dict[str, Any]:
    cells = {}
    for metric in results.metrics:
        mean = results.mean(name, metric)
        if mean is not None and math.isfinite(mean):
            cells[metric] = {"value": mean, "note": _interval(results, name, metric, confidence, seed)}
    return {"key": name, "label": label, "cells": cells}


def _interval(results: Results, row: str, metric: str, confidence: float, seed: int) -> str:
    """The interval of a mean in words; nothing for costs and where there are not enough images."""
    info = describe(metric)
    scores = np.array([score for score in results.scores(row, metric).values() if math.isfinite(score)])
    if len(scores) < 2 or info.kind == "cost":
        return ""
    low, high = bootstrap(scores, confidence=confidence, seed=seed)
    return f"{low:.{info.decimals}f} to {high:.{info.decimals}f}"


def _plane(results: Results) -> dict[str, Any] | None:
    perception = first_perception(results)
    points = points_of(results, _DISTORTION, perception) if perception else []
    if len(points) < 2 or perception not in results.metrics or _DISTORTION not in results.metrics:
        return None
    return {
        "x": _DISTORTION,
        "y": perception,
        "points": [
            {"key": point.row.name, "label": point.label, "short": point.label, "x": point.x, "y": point.y}
            for point in points
        ],
        "paths": [[point.row.name for point in path] for path in paths_of(points)],
    }


def _ranking(results: Results) -> str:
    rank = ranking(results)
    if rank is None:
        return ""
    row, metric = rank
    return f"{describe(metric).heading(results.lpips_net)} of {dict(results.rows)[row]}"


def _example(example: Example) -> dict[str, Any]:
    return {"image": example.image, "best": example.best, "crops": [_crop(crop) for crop in example.crops]}


def _crop(crop: Crop) -> dict[str, Any]:
    score = crop.score if crop.score is not None and math.isfinite(crop.score) else None
    return {"row": crop.row, "label": crop.label, "source": data_uri(webp(crop.image)), "score": score}
