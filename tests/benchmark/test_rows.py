from __future__ import annotations

from pathlib import Path

import pytest

from srspace import modes
from srspace.benchmark import Row, external_rows, parse_rows
from srspace.benchmark.rows import read_row
from srspace.errors import UsageError
from srspace.modes import Mode
from tests.benchmark.toy_mode import DIAL


@pytest.fixture
def toys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(modes, "_registered", {})
    modes.register(DIAL)
    modes.register(Mode("toy-pair", "", "x:y", samples=2, fixed=True, latents="antithetic"))


def test_external_rows_are_told_apart_by_their_folders(tmp_path: Path):
    rows = external_rows([tmp_path / "a" / "net.pth", tmp_path / "b" / "net.pth", tmp_path / "c.pth"])
    assert [row.label for row in rows] == ["a/net", "b/net", "c"]


@pytest.mark.parametrize(
    ("text", "name", "label"),
    [
        ("bicubic", "bicubic", "bicubic"),
        ("sample@0.1", "sample:7@0.1", "sample tau 0.1"),
        ("mean:5", "mean:5@0.9", "mean 5"),
        ("mean", "mean:10@0.9", "mean 10"),
        ("median:25@0.5", "median:25@0.5", "median 25 tau 0.5"),
        ("fusion-lpips", "fusion-lpips:10@0.9", "fusion-lpips"),
        ("fusion-l1:20", "fusion-l1:20@0.9", "fusion-l1 20"),
        ("rrdb", "rrdb", "rrdb"),
        ("toy-dial", "toy-dial:4@0.9+balance=0.5", "toy-dial 4"),
        ("toy-dial:2@0.7+balance=0.25", "toy-dial:2@0.7+balance=0.25", "toy-dial 2 balance 0.25 tau 0.7"),
        ("mean:2+latents=antithetic", "mean:2@0.9+latents=antithetic", "mean 2 antithetic"),
        ("mean:2+latents=independent", "mean:2@0.9", "mean 2"),
        ("toy-pair", "toy-pair:2@0.9+latents=antithetic", "toy-pair 2"),
        ("toy-pair+latents=independent", "toy-pair:2@0.9+latents=independent", "toy-pair 2 independent"),
    ],
)
def test_rows_are_read_from_words(toys: None, text: str, name: str, label: str):
    (row,) = parse_rows(text, temperature=0.9, scored=7)
    assert (row.name, row.label) == (name, label)
    assert parse_rows(row.name, temperature=0.3, scored=3) == [row]


def test_the_paper_s_rows_and_repeated_ones():
    rows = parse_rows("paper,mean:5,mean:1", temperature=0.9, scored=10)
    assert [row.label for row in rows] == [
        "bicubic", "rrdb", "sample tau 0.1", "sample tau 0.5", "sample tau 0.9", "mean 5", "mean 25", "median 5",
        "median 25", "fusion-l1", "fusion-lpips", "mean 1",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "",
        "average:5",
        "mean:x",
        "mean:0",
        "rrdb:3",
        "bicubic@0.5",
        "mean@9",
        "mean@0.1.2",
        "bicubic+balance=1",
        "mean+balance=1",
        "toy-dial+balance=2",
        "toy-dial+balance=",
        "toy-dial+balance",
        "toy-dial+x=1",
        "mean+latents=mirrored",
        "rrdb+latents=independent",
        "toy-pair:3",
    ],
)
def test_wrong_rows_are_refused(toys: None, text: str):
    with pytest.raises(UsageError):
        parse_rows(text, temperature=0.9, scored=10)


def test_rows_are_values():
    assert Row("mean", 5, 0.9) == Row("mean", 5, 0.9) and Row("mean", 5, 0.9) != Row("mean", 6, 0.9)


def test_rows_are_found_again_by_the_names_in_results(toys: None):
    for text in ("bicubic", "rrdb", "sample:3@0.5", "toy-dial+balance=0.1"):
        (row,) = parse_rows(text, temperature=0.9, scored=10)
        assert read_row(row.name, row.label) == row
    assert read_row("compare:net", "net").label == "net"
    assert read_row("of-a-mode-that-is-not-here:5@0.9", "theirs").mode is None
