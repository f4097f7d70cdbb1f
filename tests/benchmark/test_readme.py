"""What srspace/benchmark/README.md shows is run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import srspace.benchmark
from srspace.cli.main import main
from srspace.metrics import every, registry
from tests.benchmark.common import crop_examples, need_lpips

TEXT = (Path(srspace.benchmark.__file__).parent / "README.md").read_text(encoding="utf-8")


def test_its_python_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    need_lpips()
    crop_examples(tmp_path / "photos", 1)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(registry, "_registered", {})
    for code in re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL):
        exec(compile(code, "README.md", "exec"), {"__name__": "somewhere"})
    assert "worst" in every() and "| mean 5 |" in capsys.readouterr().out


def test_its_options_exist(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COLUMNS", "200")
    pages = []
    for command in (["bench", "run"], ["bench", "compare"], ["bench", "speed"], ["data", "list"], ["data", "degrade"]):
        assert main([*command, "--help"]) == 0
        pages.append(capsys.readouterr().out)
    known = set(re.findall(r"--[a-z][a-z-]+", "".join(pages))) | {"--benchmark-enable"}
    assert set(re.findall(r"--[a-z][a-z-]+", TEXT)) <= known


def test_its_columns_are_those_that_there_are():
    table = TEXT[TEXT.index("| column | name |") : TEXT.index("The paper states neither")]
    names = re.findall(r"`([a-z-]+)`", "".join(line.split("|")[2] for line in table.splitlines() if line))
    assert sorted(names) == sorted(set(every()))
