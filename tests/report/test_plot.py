from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from srspace import modes
from srspace.benchmark import Row, parse_rows
from srspace.errors import UsageError
from srspace.report.plane import paths_of, points_of
from srspace.report.plot import _spread, draw, save_plot
from srspace.report.styles import EXTERNAL, style_of
from tests.benchmark.toy_mode import DIAL
from tests.report.made import TABLE_1, results, table_1


@pytest.mark.parametrize("spread", [0.0, 0.4])
def test_labels_cover_neither_each_other_nor_points_and_stay_inside(spread: float):
    figure = draw(table_1(spread))
    axes = figure.axes[0]
    figure.canvas.draw()
    renderer = figure.canvas.get_renderer()  # type: ignore[attr-defined]
    labels = [t for t in axes.texts if t.get_text()]
    assert sorted(t.get_text() for t in labels) == sorted(label for label, _, _ in TABLE_1.values())
    # Of an annotation's extent its leader line is a part; the words alone must be free.
    boxes = [type(t).__mro__[1].get_window_extent(t, renderer) for t in labels]
    for (x, a), (y, b) in combinations(zip(labels, boxes, strict=True), 2):
        assert not a.overlaps(b), (x.get_text(), y.get_text())
    frame = axes.get_window_extent(renderer)
    points = [axes.transData.transform(c.get_offsets()[0]) for c in axes.collections if len(c.get_offsets())]
    assert len(points) == len(TABLE_1)
    for box, label in zip(boxes, labels, strict=True):
        assert frame.x0 <= box.x0 and box.x1 <= frame.x1 and frame.y0 <= box.y0 and box.y1 <= frame.y1
        assert not any(box.contains(x, y) for x, y in points), label.get_text()


FEW = {"rrdb": {"i": {"psnr": 29.1, "lpips-vgg": 0.31}}, "mean:5@0.9": {"i": {"psnr": 28.9, "lpips-vgg": 0.24}}}


def test_axes_are_labelled_and_point_the_better_way():
    axes = draw(results(FEW)).axes[0]
    assert "PSNR on RGB (dB)" in axes.get_xlabel() and "better \u2192" in axes.get_xlabel()
    assert "LPIPS (vgg)" in axes.get_ylabel() and "\u2190 better" in axes.get_ylabel()


def test_methods_differ_by_shape_and_lightness_not_by_hue_alone(monkeypatch: pytest.MonkeyPatch):
    from matplotlib.colors import to_rgb

    def styles() -> list[tuple[str, str]]:
        return [(style.marker, style.colour) for style in (*map(style_of, map(Row, modes.every())), EXTERNAL)]

    found = styles()
    markers, colours = [marker for marker, _ in found], [colour for _, colour in found]
    assert len(set(markers)) == len(markers) and len(set(colours)) == len(colours)
    light = sorted(float(np.dot(to_rgb(colour), [0.299, 0.587, 0.114])) for colour in colours)
    assert light[-1] - light[0] > 0.5
    monkeypatch.setattr(modes, "_registered", {})
    for number in range(30):
        modes.register(modes.Mode(f"m{number}", "", "x:y"))
    assert styles()[: len(modes.every()) - 30] == found[:-1], "a new mode changes no other's looks"
    assert len(set(styles())) == len(styles())


def labels_of_paths(rows: str) -> list[list[str]]:
    chosen = parse_rows(rows, temperature=0.9, scored=10)
    scores = {row.name: {"i": {"psnr": 20.0 + k, "lpips-vgg": 0.3}} for k, row in enumerate(chosen)}
    made = replace(results(scores), rows=[(row.name, row.label) for row in chosen])
    return [[point.label for point in path] for path in paths_of(points_of(made, "psnr", "lpips"))]


def test_paths_lead_along_tau_and_from_candidates_to_what_more_of_them_give():
    assert labels_of_paths("mean:25,sample@0.9,rrdb,mean:5,sample@0.5,mean:5@0.7,median:5@0.5") == [
        ["sample tau 0.5", "sample tau 0.9"],
        ["sample tau 0.5", "median 5 tau 0.5"],
        ["sample tau 0.9", "mean 5", "mean 25"],
    ]


def test_a_path_leads_along_a_mode_s_parameter(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(modes, "_registered", {})
    modes.register(DIAL)
    dials = "toy-dial+balance=1,toy-dial,toy-dial+balance=0,toy-dial:2+balance=0"
    assert labels_of_paths(f"sample,mean:5,{dials}") == [
        ["sample tau 0.9", "mean 5"],
        ["toy-dial 4 balance 0", "toy-dial 4", "toy-dial 4 balance 1"],
    ]


def test_rows_of_modes_that_are_not_known_here_are_drawn_as_other_models_are():
    scores = {"psnr": 1.0, "lpips-vgg": 0.1}
    made = results({"theirs:3@0.9": {"i": scores}, "rrdb": {"i": scores}})
    assert [style_of(point.row) == EXTERNAL for point in points_of(made, "psnr", "lpips")] == [True, False]
    assert draw(made).axes


def test_the_spread_is_that_of_candidates_around_their_image():
    made = table_1(0.4)
    gathered = [np.array(r.candidates["psnr"]) for r in made.of_row("sample:10@0.9")]
    expected = np.mean([np.var(x, ddof=1) for x in gathered])
    covariance = _spread(made, "sample:10@0.9", "psnr", "lpips")
    assert covariance is not None and covariance[0, 0] == pytest.approx(expected)
    assert _spread(made, "rrdb", "psnr", "lpips") is None


@pytest.mark.parametrize("suffix", ["png", "pdf", "svg"])
def test_files_are_written_and_the_same_each_time(tmp_path: Path, suffix: str):
    for name in ("a", "b"):
        save_plot(results(FEW), tmp_path / f"{name}.{suffix}")
    first, second = ((tmp_path / f"{name}.{suffix}").read_bytes() for name in ("a", "b"))
    assert len(first) > 5000 and first == second


def test_nothing_to_draw_is_said(tmp_path: Path):
    with pytest.raises(UsageError, match="needs two rows"):
        save_plot(results({"rrdb": {"a": {"psnr": 1.0}}}), tmp_path / "a.png")
    with pytest.raises(UsageError, match="written as"):
        save_plot(table_1(), tmp_path / "a.gif")
    assert list(tmp_path.iterdir()) == []
