"""Data sets made of folders of pictures."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from srspace.cli.main import main
from srspace.data import preparation
from srspace.data.datasets import open_dataset
from srspace.data.degrade import DegradeConfig
from srspace.data.preparation import degrade, prepare
from srspace.errors import DataError, OutputError, UsageError
from srspace.resize import imresize
from tests.data.test_datasets import picture


def test_prepare_makes_a_paired_set_and_keeps_what_is_there(tmp_path: Path, capsys):
    picture(tmp_path / "in" / "a.png", 26, 19)
    picture(tmp_path / "in" / "sub" / "a.jpg", seed=1)
    assert main(["data", "prepare", str(tmp_path / "in"), str(tmp_path / "out")]) == 0
    assert "2 pairs" in capsys.readouterr().out
    dataset = open_dataset(str(tmp_path / "out"))
    assert [p.name for p in dataset.pairs] == ["a", "sub_a"]
    hr, lr = dataset.pairs[0].load(4)
    assert torch.equal(lr, imresize(hr, 0.25)) and not dataset.made_lr
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "out").rglob("*.png")}
    prepare(tmp_path / "in", tmp_path / "out")
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "out").rglob("*.png")} == before


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    picture(tmp_path / "in" / "a.png", 50, 67)
    picture(tmp_path / "in" / "sub" / "b.png", 40, 40, seed=1)
    return tmp_path / "in"


def images(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.png")}


def test_degrade_makes_a_paired_set_by_its_seed(photos: Path, tmp_path: Path, capsys):
    out = [tmp_path / str(i) for i in range(3)]
    assert main(["data", "degrade", str(photos), str(out[0])]) == 0
    assert "2 pairs" in capsys.readouterr().out
    assert main(["data", "degrade", str(photos), str(out[1]), "--seed", "1", "-q"]) == 0
    (photos / "a.png").rename(photos / "aa.png")
    (photos / "0.png").write_bytes((photos / "aa.png").read_bytes())
    torch.manual_seed(5)
    degrade(photos, out[2])
    assert torch.rand(()) == torch.rand((), generator=torch.Generator().manual_seed(5)), "it draws from its own seed"
    dataset = open_dataset(str(out[0]))
    assert [p.name for p in dataset.pairs] == ["a", "sub_b"]
    hr, lr = dataset.pairs[0].load(4)
    assert lr.shape == (3, 16, 12) and not torch.equal(lr, imresize(hr, 0.25))
    first, other, more = map(images, out)
    name = "LR_degraded/X4/sub_bx4.png"
    assert first[name] == more[name] != other[name] and first["HR/sub_b.png"] == other["HR/sub_b.png"]
    manifest = json.loads((out[0] / "manifest.json").read_text())
    assert manifest["seed"] == 0 and set(manifest["images"]) == {"a", "sub_b"}
    assert all(step["stage"] != "clean" for steps in manifest["images"].values() for step in steps)


def test_degrade_goes_on_where_it_stopped_and_mixes_nothing(photos: Path, tmp_path: Path, monkeypatch, capsys):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    degrade(photos, whole)

    def stop(share: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        degrade(photos, cut, progress=stop)
    assert len(images(cut)) == 2 and list(json.loads((cut / "manifest.json").read_text())["images"]) == ["a"]
    before = (cut / "HR" / "a.png").stat().st_mtime_ns
    degrade(photos, cut)
    assert images(cut) == images(whole) and (cut / "HR" / "a.png").stat().st_mtime_ns == before
    assert (cut / "manifest.json").read_text() == (whole / "manifest.json").read_text()
    for settings in ({"seed": 1}, {"config": replace(DegradeConfig(clean=0.0), noise=0.1)}):
        with pytest.raises(UsageError, match="other settings"):
            degrade(photos, cut, **settings)
    (cut / "manifest.json").write_text("[]")
    with pytest.raises(OutputError, match="not a manifest"):
        degrade(photos, cut)


def test_what_degrade_is_told_is_checked(photos: Path, tmp_path: Path, capsys):
    config = tmp_path / "c.toml"
    arguments = ["data", "degrade", str(photos), str(tmp_path / "out"), "--config", str(config), "-q"]
    config.write_text("clean = 1.0")
    assert main(arguments) == 0
    hr, lr = open_dataset(str(tmp_path / "out")).pairs[0].load(4)
    assert torch.equal(lr, imresize(hr, 0.25)), "all images are clean"
    for text, words in (("noize = 1", "did you mean noise"), ("noise = 2", "[0, 1]"), ("scale = 3", "2, 4 or 8")):
        config.write_text(text)
        assert main(arguments) == 2
        assert words in capsys.readouterr().err
    picture(photos / "small.png", 24, 40)
    with pytest.raises(DataError, match=r"small\.png is smaller than 32x32"):
        degrade(photos, tmp_path / "small")
    assert preparation.MANIFEST in {p.name for p in (tmp_path / "small").iterdir()}, "what was made before is kept"
