from __future__ import annotations

import csv
import io
import json
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from srspace.benchmark import Record, Results
from srspace.cli.main import main
from srspace.errors import DataError, UsageError
from srspace.report.comparison import bootstrap, compare
from srspace.report.tables import make_table, to_csv, to_markdown

# PSNR and LPIPS of the paper's Table 1.
TABLE_1 = {
    "rrdb": ("rrdb", 29.102, 0.3050),
    "sample:10@0.1": ("sample tau 0.1", 29.269, 0.2805),
    "sample:10@0.5": ("sample tau 0.5", 28.929, 0.2531),
    "sample:10@0.9": ("sample tau 0.9", 27.355, 0.2534),
    "mean:5@0.9": ("mean 5", 28.882, 0.2378),
    "mean:25@0.9": ("mean 25", 29.269, 0.2615),
    "median:5@0.9": ("median 5", 28.721, 0.2399),
    "median:25@0.9": ("median 25", 29.222, 0.2564),
    "fusion-l1:10@0.9": ("fusion-l1", 29.249, 0.2833),
    "fusion-lpips:10@0.9": ("fusion-lpips", 28.281, 0.2151),
    "compare:ESRGAN+": ("ESRGAN+", 26.001, 0.2425),
}


def results(rows: dict[str, dict[str, dict[str, float]]], **changes: object) -> Results:
    """Results from scores by row, image and metric; LPIPS is that of vgg."""
    records = [
        Record(f"{row}/{image}", "set", image, row, scores, settings={"hr": image})
        for row, images in rows.items()
        for image, scores in images.items()
    ]
    names = list(dict.fromkeys(r.image for r in records))
    values: dict[str, object] = {
        "dataset": "set",
        "scale": 4,
        "images": names,
        "rows": [(row, TABLE_1.get(row, (row,))[0]) for row in rows],
        "metrics": ["psnr", "lpips", "niqe", "seconds"],
        "lpips_net": "vgg",
        "protocol": "paper",
        "rules": "the rules",
        "seed": 0,
        "weights": "w",
        "device": "cpu",
        "precision": "float32",
        "made_lr": False,
        "records": records,
    }
    return Results(**(values | changes))  # type: ignore[arg-type]


def table_1(spread: float = 0.0) -> Results:
    """Table 1, with two images either side of each mean, and the samples' candidates around them."""
    generator = np.random.default_rng(0)
    rows: dict[str, dict[str, dict[str, float]]] = {}
    for row, (_, psnr, lpips) in TABLE_1.items():
        rows[row] = {
            f"i{k}": {"psnr": psnr + sign * 2, "lpips-vgg": lpips + sign * 0.05, "seconds": 1.0}
            for k, sign in enumerate((-1, 1))
        }
    made = results(rows)
    if not spread:
        return made
    records = []
    for record in made.records:
        candidates = {}
        if record.row.startswith("sample"):
            for key, sd in (("psnr", spread), ("lpips-vgg", spread / 30)):
                candidates[key] = (record.values[key] + generator.normal(0, sd, 10)).tolist()
        records.append(Record(**{**record.__dict__, "candidates": candidates}))
    return Results(**{**{k: v for k, v in made.__dict__.items() if not k.startswith("_")}, "records": records})


def test_best_and_second_are_those_of_the_paper():
    table = make_table(table_1())
    ranks = {label: [cell.rank for cell in cells[:2]] for label, cells in table.rows}
    assert [label for label, (psnr, _) in ranks.items() if psnr == 1] == ["sample tau 0.1", "mean 25"]
    assert [label for label, (psnr, _) in ranks.items() if psnr == 2] == ["fusion-l1"]
    assert [label for label, (_, lpips) in ranks.items() if lpips == 1] == ["fusion-lpips"]
    assert [label for label, (_, lpips) in ranks.items() if lpips == 2] == ["mean 5"]
    assert {cell.text for _, cells in table.rows for cell in [cells[2]]} == {"-"}
    assert all(cells[3].rank == 0 for _, cells in table.rows), "costs are not ranked"
    assert table.headings == ["", "PSNR\u2191", "LPIPS vgg\u2193", "NIQE\u2193", "Seconds"]


def test_csv_has_full_precision_and_nothing_where_there_is_nothing():
    rows = list(csv.DictReader(io.StringIO(to_csv(table_1()))))
    assert [r["row"] for r in rows] == list(TABLE_1)
    assert float(rows[0]["psnr"]) == pytest.approx(29.102) and rows[0]["niqe"] == "" and rows[0]["images"] == "2"


def test_markdown_marks_best_and_second():
    lines = to_markdown(table_1()).splitlines()
    assert lines[0].count("|") == lines[1].count("|") == lines[2].count("|") == 6
    assert "| fusion-lpips | 28.281 | **0.2151** | - | 1.00 |" in lines
    assert "| mean 5 | 28.882 | <u>0.2378</u> | - | 1.00 |" in lines
    assert "the rules  " in lines


def test_notes_say_what_is_missing():
    rows = {"rrdb": {"a": {"psnr": 1.0}, "b": {"psnr": 2.0}}, "bicubic": {"a": {"psnr": 1.0}}}
    notes = make_table(results(rows, missing={"niqe": "NIQE is not here.", "ma": "NIQE is not here."})).notes
    assert "not on all images: bicubic" in notes and notes.count("NIQE is not here.") == 1


@pytest.mark.parametrize("count", [5, 100])
def test_the_bootstrap_agrees_with_scipy(count: int):
    differences = np.random.default_rng(count).normal(0.1, 1, count)
    low, high = bootstrap(differences, confidence=0.9, resamples=20_000)
    expected = stats.bootstrap(
        (differences,),
        np.mean,
        method="percentile",
        confidence_level=0.9,
        n_resamples=20_000,
        rng=np.random.default_rng(1),
    ).confidence_interval
    assert (low, high) == pytest.approx((expected.low, expected.high), abs=0.03)
    assert bootstrap(differences) == bootstrap(differences)
    assert bootstrap(differences, seed=1) != bootstrap(differences, seed=2)


def test_the_bootstrap_of_many_images_does_not_need_their_product_in_memory():
    differences = np.random.default_rng(0).normal(0, 1, 3000)
    low, high = bootstrap(differences)
    assert high - low == pytest.approx(2 * 1.96 / np.sqrt(3000), rel=0.1)
    for wrong in (differences[:1], differences[:0]):
        with pytest.raises(ValueError):
            bootstrap(wrong)


def scored(offset: float, noise: float, count: int = 30, **changes: object) -> Results:
    generator = np.random.default_rng(3)
    base, jitter = generator.normal(28, 4, count), generator.normal(0, 1, count)
    images = {
        f"i{k:02d}": {"psnr": float(base[k] + offset + noise * jitter[k]), "lpips-vgg": float(0.3 - offset / 100)}
        for k in range(count)
    }
    return results({"rrdb": images}, **changes)


def test_pairing_finds_what_the_spread_between_images_would_hide():
    found = {d.metric: d for d in compare(scored(0, 0), scored(0.1, 0.05))}
    assert found["psnr"].better == "b" and found["lpips"].better == "b"
    assert found["psnr"].difference == pytest.approx(0.1, abs=0.03)
    assert found["psnr"].low is not None and 0 < found["psnr"].low < found["psnr"].difference
    assert {d.metric: d for d in compare(scored(0.1, 0.05), scored(0, 0))}["psnr"].better == "a"
    assert {d.metric: d for d in compare(scored(0, 0), scored(0.01, 1))}["psnr"].better is None


def test_what_cannot_be_compared_is_refused():
    a = scored(0, 0)
    with pytest.raises(DataError, match="different protocols"):
        compare(a, scored(0, 0, protocol="y-channel"))
    with pytest.raises(DataError, match="no row, metric and image"):
        compare(a, results({"bicubic": {"i00": {"psnr": 1.0}}}))
    with pytest.raises(UsageError, match="no row 'mean'"):
        compare(a, a, row_b="mean")
    with pytest.raises(UsageError, match="confidence"):
        compare(a, a, confidence=1)
    other = scored(0, 0)
    other.records[0].settings["hr"] = "another file"
    with pytest.raises(DataError, match="not the same image"):
        compare(a, other)
    (single,) = compare(scored(0, 0, 1, metrics=["psnr"]), scored(1, 0, 1, metrics=["psnr"]))
    assert (single.low, single.high, single.better, single.images) == (None, None, None, 1)


def test_compare_from_the_command_line(tmp_path: Path, capsys):
    for name, made in (("a.json", table_1()), ("b.json", table_1())):
        (tmp_path / name).write_text(json.dumps(made.to_json()))
    a, b = str(tmp_path / "a.json"), str(tmp_path / "b.json")
    assert main(["bench", "compare", a, b, "--row-a", "rrdb", "--row-b", "fusion-lpips:10@0.9", "--json"]) == 0
    found = {d["metric"]: d for d in map(json.loads, capsys.readouterr().out.splitlines())}
    assert found["psnr"]["difference"] == pytest.approx(28.281 - 29.102)
    assert found["lpips"]["better"] == "b" and found["psnr"]["better"] == "a"
    for word in ("mean:5", "mean 5", "mean:5@0.9"):
        assert main(["bench", "compare", a, b, "--row-a", word, "--row-b", "fusion-lpips", "--json"]) == 0
        assert json.loads(capsys.readouterr().out.splitlines()[0])["row_a"] == "mean:5@0.9"
    assert main(["bench", "compare", a, b]) == 0
    assert "rrdb" in capsys.readouterr().out
    assert main(["bench", "compare", a, str(tmp_path / "c.json")]) == 1
    assert "cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize("columns", [40, 60, 120])
def test_a_terminal_gets_bold_and_underline_and_no_number_cut_short(
    monkeypatch: pytest.MonkeyPatch, capsys, columns: int
):
    from srspace.cli.bench import print_table

    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", str(columns))
    made = table_1()
    every = ["psnr", "ssim", "lpips", "pieapp", "dists", "niqe", "ma", "pi", "seconds"]
    print_table(Results(**{k: v for k, v in made.__dict__.items() if not k.startswith("_")} | {"metrics": every}))
    out = capsys.readouterr().out
    assert "\x1b[1m29.269" in out and "\x1b[4m29.249" in out and "\x1b[1m0.2151" in out and "\u2026" not in out
    assert ("PieAPP" in out) == (columns == 120)


class TestPlot:
    @pytest.fixture(autouse=True)
    def matplotlib(self):
        pytest.importorskip("matplotlib")

    @pytest.mark.parametrize("spread", [0.0, 0.4])
    def test_labels_cover_neither_each_other_nor_points_and_stay_inside(self, spread: float):
        from srspace.report.plot import draw

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

    def test_axes_are_labelled_and_point_the_better_way(self):
        from srspace.report.plot import draw

        axes = draw(table_1()).axes[0]
        assert "PSNR on RGB (dB)" in axes.get_xlabel() and "better \u2192" in axes.get_xlabel()
        assert "LPIPS (vgg)" in axes.get_ylabel() and "\u2190 better" in axes.get_ylabel()

    def test_methods_differ_by_shape_and_lightness_not_by_hue_alone(self):
        from matplotlib.colors import to_rgb

        from srspace.report.plot import _LINES, _STYLES

        markers = [marker for marker, _ in _STYLES.values()]
        assert len(set(markers)) == len(markers) and len({str(v) for v in _LINES.values()}) == len(_LINES)
        light = sorted(float(np.dot(to_rgb(colour), [0.299, 0.587, 0.114])) for _, colour in _STYLES.values())
        assert light[-1] - light[0] > 0.5

    def test_the_spread_is_that_of_candidates_around_their_image(self):
        from srspace.report.plot import _spread

        made = table_1(0.4)
        gathered = [np.array(r.candidates["psnr"]) for r in made.of_row("sample:10@0.9")]
        expected = np.mean([np.var(x, ddof=1) for x in gathered])
        covariance = _spread(made, "sample:10@0.9", "psnr", "lpips")
        assert covariance is not None and covariance[0, 0] == pytest.approx(expected)
        assert _spread(made, "rrdb", "psnr", "lpips") is None

    @pytest.mark.parametrize("suffix", ["png", "pdf", "svg"])
    def test_files_are_written_and_the_same_each_time(self, tmp_path: Path, suffix: str):
        from srspace.report.plot import save_plot

        for name in ("a", "b"):
            save_plot(table_1(0.4), tmp_path / f"{name}.{suffix}")
        first, second = ((tmp_path / f"{name}.{suffix}").read_bytes() for name in ("a", "b"))
        assert len(first) > 5000 and first == second

    def test_nothing_to_draw_is_said(self, tmp_path: Path):
        from srspace.report.plot import save_plot

        with pytest.raises(UsageError, match="needs two rows"):
            save_plot(results({"rrdb": {"a": {"psnr": 1.0}}}), tmp_path / "a.png")
        with pytest.raises(UsageError, match="written as"):
            save_plot(table_1(), tmp_path / "a.gif")
        assert list(tmp_path.iterdir()) == []
