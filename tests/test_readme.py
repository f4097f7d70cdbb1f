"""The Python that README.md shows is run, in a folder that holds what it speaks of."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

import srspace
from srspace.checkpoints import save_model
from tests.conftest import calm_flow
from tests.pictures import picture

README = Path(__file__).parents[1] / "README.md"
BLOCKS = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)


def test_its_python_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    picture(tmp_path / "img.png", (16, 12))
    save_model(tmp_path / "converted", calm_flow())
    monkeypatch.chdir(tmp_path)
    known = {"__name__": "readme", "lr": torch.rand(1, 3, 6, 5), "hr": torch.rand(1, 3, 24, 20)}
    assert BLOCKS
    for code in BLOCKS:
        exec(compile(code, "README.md", "exec"), known)
    result = srspace.read_picture(tmp_path / "img_x4.png")
    assert (result.width, result.height) == (64, 48)
    assert known["sr"].shape == known["regression"].shape == (1, 3, 24, 20)
    assert torch.allclose(known["sr"], known["hr"], atol=1e-3), "it decodes what it has encoded"
