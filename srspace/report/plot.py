"""A plot of the perception-distortion plane: points, trade-off paths, seed spread."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from srspace.benchmark.results import Results
from srspace.errors import MissingExtraError, UsageError
from srspace.files import write_bytes
from srspace.metrics import describe
from srspace.report.labels import place_labels
from srspace.report.plane import Point, first_perception, paths_of, points_of
from srspace.report.styles import style_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SUFFIXES = (".png", ".pdf", ".svg")

Segment = tuple[float, float, float, float]


def check_plot_path(path: Path) -> None:
    """Raise what :func:`save_plot` would raise about ``path``, and if matplotlib is missing, before any work.

    Raises:
        UsageError: the suffix is none of png, pdf and svg, or matplotlib is not installed.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise UsageError(f"a plot is written as {', '.join(SUFFIXES)}, so {path.name} will not do.")
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("a plot", "matplotlib", "plot") from error


def save_plot(results: Results, path: Path, *, distortion: str = "psnr", perception: str | None = None) -> None:
    """Draw the plane and write it.

    Args:
        results: at least two rows with both metrics. Bicubic is left out: it lies so far off that the others would
            be squeezed together.
        path: a png, pdf or svg file.
        distortion: metric of the x axis.
        perception: metric of the y axis (None: the first of LPIPS, PieAPP, DISTS, ... that there is).

    Raises:
        UsageError: the suffix is unknown, matplotlib is missing, or there is nothing to draw.
        OutputError: the file cannot be written.
    """
    check_plot_path(path)
    import matplotlib

    figure = draw(results, distortion=distortion, perception=perception)
    buffer = io.BytesIO()
    # Without dates and random names in SVG and PDF, the same results give the same file.
    metadata: dict[str, Any] = {"pdf": {"CreationDate": None}, "svg": {"Date": None}}.get(path.suffix.lower()[1:], {})
    with matplotlib.rc_context({"svg.hashsalt": "srspace"}):
        figure.savefig(buffer, format=path.suffix.lower()[1:], dpi=160, metadata=metadata)
    write_bytes(path, buffer.getvalue())


def draw(results: Results, *, distortion: str = "psnr", perception: str | None = None) -> Figure:
    """The plane as a matplotlib figure; see :func:`save_plot`."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    perception = perception or first_perception(results)
    points = points_of(results, distortion, perception)
    if len(points) < 2:
        raise UsageError(f"a plot needs two rows with {distortion} and {perception or 'a perceptual metric'}.")
    figure = Figure(figsize=(7.2, 5.4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    outlines = [s for point in points for s in _draw_spread(axes, results, point, distortion, perception)]
    segments = outlines + [s for path in paths_of(points) for s in _draw_path(axes, path)]
    for point in points:
        style = style_of(point.row)
        axes.scatter(
            [point.x], [point.y], s=style.size, marker=style.marker, color=style.colour,
            edgecolors="black", linewidths=0.8, zorder=3,
        )  # fmt: skip
    axes.set_xlabel(_axis(results, distortion))
    axes.set_ylabel(_axis(results, perception))
    axes.set_title(f"{results.dataset}, {results.scale}x, {len(results.images)} images", fontsize=11)
    axes.grid(alpha=0.25, linewidth=0.6)
    axes.margins(0.16)
    if outlines:
        figure.supxlabel("shaded: one standard deviation of single candidates around their image's mean", fontsize=8)
    figure.canvas.draw()
    place_labels(axes, [(p.label, p.x, p.y) for p in points], segments)
    return figure


def _draw_path(axes: Axes, path: Sequence[Point]) -> Iterable[Segment]:
    line = style_of(path[-1].row).line
    for a, b in pairwise(path):
        axes.annotate(
            "",
            (b.x, b.y),
            (a.x, a.y),
            arrowprops={
                "arrowstyle": "-|>",
                "linestyle": line,
                "color": "0.35",
                "linewidth": 1.1,
                "shrinkA": 6,
                "shrinkB": 6,
            },
            zorder=2,
        )
        yield a.x, a.y, b.x, b.y


def _draw_spread(axes: Axes, results: Results, point: Point, distortion: str, perception: str) -> list[Segment]:
    """Shade one standard deviation of a sample row's candidates around their own image's mean; returns the outline."""
    from matplotlib.patches import Polygon

    covariance = _spread(results, point.row.name, distortion, perception)
    if covariance is None:
        return []
    values, vectors = np.linalg.eigh(covariance)
    angles = np.linspace(0, 2 * np.pi, 61)
    circle = np.stack([np.cos(angles), np.sin(angles)])
    outline = (vectors @ (np.sqrt(np.maximum(values, 0))[:, None] * circle)).T + np.array([point.x, point.y])
    axes.add_patch(Polygon(outline, facecolor="0.82", edgecolor="0.6", zorder=1))
    axes.update_datalim(outline)
    return [(a[0], a[1], b[0], b[1]) for a, b in pairwise(outline.tolist())]


def _spread(results: Results, row: str, distortion: str, perception: str) -> NDArray[np.float64] | None:
    keys = [results.key_of(distortion), results.key_of(perception)]
    deviations = []
    for record in results.of_row(row):
        if all(len(record.candidates.get(key, ())) > 1 for key in keys):
            scores = np.array([record.candidates[key] for key in keys])
            if np.isfinite(scores).all():
                deviations.append(
                    (scores - scores.mean(1, keepdims=True)) * np.sqrt(scores.shape[1] / (scores.shape[1] - 1))
                )
    if not deviations:
        return None
    gathered = np.concatenate(deviations, axis=1)
    return np.asarray(gathered @ gathered.T / gathered.shape[1], np.float64)


def _axis(results: Results, metric: str) -> str:
    info = describe(metric)
    channel = f" on {'Y' if results.protocol == 'y-channel' else 'RGB'}" if info.channel else ""
    details = [word for word in (results.lpips_net if info.backbone else "", info.unit) if word]
    title = info.title + channel + (f" ({', '.join(details)})" if details else "")
    # On the y axis the text runs upwards, so that the same arrow points up.
    return f"{title}    " + ("better \u2192" if info.higher_is_better else "\u2190 better")
