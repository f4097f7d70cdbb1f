"""The page of one SR space: its pictures and figures as data, in the template."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from srspace import __version__
from srspace.metrics import describe
from srspace.report.explore.space import Shown, Space
from srspace.report.page.document import SLIDER, Document
from srspace.report.page.pictures import LOSSLESS, data_uri, encoded, webp
from srspace.spread import busiest, peak_of

_SCRIPTS = ("state", "pictures", "overlay", "stage", "controls", "magnifier", "candidates", "scores", "main")
_DEFAULT_VIEW = 24
"""Side of the part that the magnifier opens at, in output pixels."""


def to_html(space: Space) -> str:
    """The page as HTML, complete in itself."""
    files, quality = encoded({shown.key: shown.image for shown in space.pictures}, icc_profile=space.icc_profile)
    library, style = SLIDER
    return Document(
        title=f"{space.name}: its SR space",
        template="explore/assets/explore.html",
        styles=(style, "explore/assets/explore.css"),
        libraries=(library,),
        scripts=("page/assets/table.js", "page/assets/plane.js", *(f"explore/assets/{name}.js" for name in _SCRIPTS)),
        slots={"name": space.name, "summary": _summary(space), "version": __version__},
        data=_data(space, {key: data_uri(content) for key, content in files.items()}, quality),
    ).html()


def _data(space: Space, sources: dict[str, str], quality: int) -> dict[str, Any]:
    height, width = space.deviation.shape
    peak = peak_of(space.deviation)
    levels = np.clip(np.round(space.deviation / peak * 255), 0, 255).astype(np.uint8)
    top, left = busiest(space.deviation, _DEFAULT_VIEW)
    return {
        "name": space.name,
        "width": width,
        "height": height,
        "scale": space.scale,
        "input": data_uri(webp(space.lr)),
        "pictures": [_picture(shown, sources[shown.key]) for shown in space.pictures],
        "spread": {"source": data_uri(webp(levels)), "peak": round(255 * peak, 2)},
        "view": {"x": left + min(_DEFAULT_VIEW, width) / 2, "y": top + min(_DEFAULT_VIEW, height) / 2},
        "metrics": [_metric(name, space.lpips_net) for name in space.metrics],
        "plane": _plane(space),
        "notes": [*space.notes, _stored(quality)],
    }


def _picture(shown: Shown, source: str) -> dict[str, Any]:
    return {
        "key": shown.key,
        "mode": shown.mode,
        "label": shown.label,
        "help": shown.help,
        "value": shown.value,
        "index": shown.index,
        "source": source,
        "scores": {name: value if math.isfinite(value) else None for name, value in shown.scores.items()},
    }


def _metric(name: str, lpips_net: str) -> dict[str, Any]:
    metric = describe(name)
    return {
        "name": name,
        "title": metric.heading(lpips_net),
        "unit": metric.unit,
        "decimals": metric.decimals,
        "higher": metric.higher_is_better,
    }


def _plane(space: Space) -> dict[str, str] | None:
    """The metrics of the axes: the first of distortion and the first of perception."""
    kinds = {describe(name).kind: name for name in reversed(space.metrics)}
    if "distortion" not in kinds or "perception" not in kinds:
        return None
    return {"x": kinds["distortion"], "y": kinds["perception"]}


def _summary(space: Space) -> str:
    height, width = space.lr.shape[:2]
    part = f", the part {space.crop} of it" if space.crop else ""
    fusion = f", fusion network {space.fusion}" if space.fusion else ""
    return (
        f"{width}\N{MULTIPLICATION SIGN}{height} pixels{part}, enlarged {space.scale}\N{MULTIPLICATION SIGN}. "
        f"{space.samples} candidates at temperature {space.sampling.temperature:g}, seed {space.sampling.seed}, "
        f"weights {space.weights}{fusion}."
    )


def _stored(quality: int) -> str:
    if quality == LOSSLESS:
        return "The pictures in this page are stored without loss."
    return f"The pictures in this page are stored as WebP of quality {quality}. The metrics were taken before that."
