from __future__ import annotations

import csv
import io

import pytest

from srspace.benchmark import Results
from srspace.report.tables import make_table, to_csv, to_markdown
from tests.report.made import TABLE_1, results, table_1


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


@pytest.mark.parametrize("columns", [40, 60, 120])
def test_a_terminal_gets_bold_and_underline_and_no_number_cut_short(
    monkeypatch: pytest.MonkeyPatch, capsys, columns: int
):
    from srspace.cli.bench_tables import print_table

    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", str(columns))
    made = table_1()
    every = ["psnr", "ssim", "lpips", "pieapp", "dists", "niqe", "ma", "pi", "seconds"]
    print_table(Results(**{k: v for k, v in made.__dict__.items() if not k.startswith("_")} | {"metrics": every}))
    out = capsys.readouterr().out
    assert "\x1b[1m29.269" in out and "\x1b[4m29.249" in out and "\x1b[1m0.2151" in out and "\u2026" not in out
    assert ("PieAPP" in out) == (columns == 120)
