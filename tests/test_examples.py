from __future__ import annotations

import runpy
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

import srspace
from srspace import modes
from srspace.hub import load_catalog
from tests.networks import calm_flow
from tests.test_upscaler import fusion_networks

Run = Callable[..., str]
EXAMPLES = Path(__file__).parents[1] / "examples"
NAMES = set(load_catalog())
NETWORKS = {entry.mode for entry in load_catalog().values()}
WITH_WEIGHTS = [mode for mode in modes.every().values() if mode.network is None or mode.network in NETWORKS]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    def run(script: str, *arguments: object) -> str:
        monkeypatch.setattr(sys, "argv", [script, *map(str, arguments)])
        runpy.run_path(str(EXAMPLES / script), run_name="__main__")
        return capsys.readouterr().out

    return run


@pytest.fixture
def crop(tmp_path: Path) -> tuple[Path, Path]:
    for name, side in (("lr", 16), ("hr", 64)):
        source = EXAMPLES / ("parrot.png" if name == "lr" else "parrot_HR.png")
        with Image.open(source) as image:
            image.crop((0, 0, side, side)).save(tmp_path / f"{name}.png")
    return tmp_path / "lr.png", tmp_path / "hr.png"


@pytest.fixture
def quick(accept_random_weights: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small random networks in place of those in the box: scripts are tried, not weights."""
    upscaler = srspace.Upscaler(calm_flow(), fusion_networks(), device="cpu", precision="fp32")
    monkeypatch.setattr(srspace.Upscaler, "load", lambda *_, **__: upscaler)


def test_upscale(run: Run, crop: tuple[Path, Path], tmp_path: Path):
    assert "64x64" in run("upscale.py", crop[0], tmp_path / "out.png")


def test_candidates(run: Run, quick: None, crop: tuple[Path, Path], tmp_path: Path):
    run("candidates.py", crop[0], tmp_path / "c", 2)
    assert len(list((tmp_path / "c").iterdir())) == 2


def test_trade_off(run: Run, quick: None, crop: tuple[Path, Path]):
    from srspace.errors import DataError
    from srspace.metrics import Lpips

    try:
        Lpips("alex")
    except DataError:
        pytest.skip("no LPIPS backbone in TORCH_HOME")
    assert len(run("trade_off.py", *crop, 2).splitlines()) == len(WITH_WEIGHTS)


def test_before_after(run: Run, quick: None, crop: tuple[Path, Path], tmp_path: Path):
    run("before_after.py", crop[0], tmp_path / "sheet.png")
    with Image.open(tmp_path / "sheet.png") as image:
        assert image.size == (3 * 72 - 8, 86)


def test_side_by_side(run: Run, quick: None, crop: tuple[Path, Path], tmp_path: Path):
    run("side_by_side.py", tmp_path / "sheet.png", crop[1])
    with Image.open(tmp_path / "sheet.png") as image:
        assert image.size == (7 * 198 - 6, 212)


def test_text_page(run: Run, quick: None, tmp_path: Path):
    lines = run("text_page.py", tmp_path / "page", "-", 1, 2).splitlines()
    assert len(lines) == len(WITH_WEIGHTS) + 2 and len(list((tmp_path / "page").iterdir())) == len(lines) + 1


def test_damaged_pictures(run: Run, quick: None, tmp_path: Path):
    lines = run("damaged_pictures.py", tmp_path / "d", "night", "palette_cartoon").splitlines()
    assert len(lines) == 2 and len(list((tmp_path / "d").iterdir())) == 7
    assert all(line.split(", auto takes ")[1] in NAMES for line in lines)
