from __future__ import annotations

import json
from pathlib import Path

import pytest

from srspace.benchmark import speed
from srspace.cli.main import main
from tests.benchmark.common import known_peak


def test_the_command_prints_a_table_and_json(
    tiny: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(speed, "matrix_peak", known_peak)
    arguments = ["bench", "speed", "--size", "8x6", "-n", "2", "--repeats", "1", "--device", "cpu"]
    arguments += ["--weights", str(tiny / "x4")]
    assert main([*arguments, "--json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert values["samples"] == 2 and values["height"] == 32 and values["mode"] == "mean"
    assert main([*arguments, "--mode", "median"]) == 0
    out = capsys.readouterr().out
    assert "candidates/s" in out and "median" in out


@pytest.mark.parametrize("arguments", [["--size", "12"], ["--size", "0x4"], ["--mode", "theirs"], ["-n", "0"]])
def test_bad_settings_are_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]):
    assert main(["bench", "speed", *arguments]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
