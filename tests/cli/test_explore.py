from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from srspace.cli.main import main
from srspace.images import Picture, write_picture
from srspace.models import PreparedSRFlow


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    rgb = (0.5 + 0.1 * np.random.default_rng(0).random((10, 12, 3))).astype(np.float32)
    path = tmp_path / "p.png"
    write_picture(Picture(rgb), path)
    return path


def test_a_page_is_written_and_kept(picture: Path, tiny: Path, capsys: pytest.CaptureFixture[str]):
    command = ["explore", str(picture), "-w", str(tiny / "x4"), "-n", "2", "--device", "cpu", "-q"]
    assert main(command) == 0
    page = picture.with_name("p_space.html")
    assert "The SR space of p.png" in page.read_text(encoding="utf-8")
    assert main(command) == 2
    assert "--overwrite" in capsys.readouterr().err
    page.write_text("old", encoding="utf-8")
    assert main([*command, "--overwrite"]) == 0
    assert page.read_text(encoding="utf-8") != "old"


def test_a_folder_takes_the_page(picture: Path, tiny: Path, tmp_path: Path):
    folder = tmp_path / "pages"
    folder.mkdir()
    assert main(["explore", str(picture), "-w", str(tiny / "x4"), "-n", "1", "-o", str(folder), "-q"]) == 0
    assert (folder / "p_space.html").is_file()


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--crop", "10x"], 2, "256x256+0+0"),
        (["--crop", "20x20+0+0"], 2, "outside the picture"),
        (["--balances", "3"], 2, "5 to 9"),
        (["-o", "nowhere/p.html"], 1, "no folder nowhere"),
        (["--hr", "missing.png"], 1, "missing.png cannot be read"),
        (["-w", "srflow-da-x4-lit"], 3, "did you mean srflow-da-x4-lite?"),
    ],
)
def test_mistakes_are_answered_in_a_sentence(
    picture: Path, tiny: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, words: str
):
    assert main(["explore", str(picture), "-w", str(tiny / "x4"), *arguments]) == code
    assert words in capsys.readouterr().err
    assert not picture.with_name("p_space.html").exists()


def test_a_fusion_network_of_one_s_own_is_shown(picture: Path, tiny: Path):
    command = ["explore", str(picture), "-w", str(tiny / "x4"), "-n", "2", "--device", "cpu", "-q", "--overwrite"]
    page = picture.with_name("p_space.html")
    assert main(command) == 0
    assert "The mode dial is left out" in page.read_text(encoding="utf-8")
    assert main([*command, "--fusion", str(tiny / "dial")]) == 0
    text = page.read_text(encoding="utf-8")
    assert "The mode dial is left out" not in text and '"key":"dial-0.2"' in text
    assert f"fusion network {tiny / 'dial'}." in text


@pytest.mark.parametrize(
    ("fusion", "arguments", "code", "words"),
    [
        ("fusion", ["-w", "x4", "-n", "3"], 2, "Use -n 2 or a multiple of it."),
        ("fusion", ["-n", "2"], 2, "Name the flow with --weights."),
        ("x8", ["-w", "x4", "-n", "2"], 3, "weights of the kind flow, not fusion or dial-fusion"),
        ("nowhere", ["-w", "x4", "-n", "2"], 3, "is neither a folder nor in the catalogue"),
    ],
)
def test_mistakes_about_a_fusion_network_are_answered_as_by_upscale(
    picture: Path,
    tiny: Path,
    capsys: pytest.CaptureFixture[str],
    fusion: str,
    arguments: list[str],
    code: int,
    words: str,
):
    named = ["--fusion", str(tiny / fusion), "-q", *(str(tiny / word) if word == "x4" else word for word in arguments)]
    assert main(["upscale", str(picture), "-m", "fusion-l1", *named]) == code
    upscale = capsys.readouterr().err
    assert main(["explore", str(picture), *named]) == code
    assert capsys.readouterr().err == upscale and words in upscale
    assert not picture.with_name("p_space.html").exists()


def test_a_grid_beside_the_page_is_of_the_same_candidates(picture: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch):
    drawn: list[int] = []
    decode = PreparedSRFlow.decode
    monkeypatch.setattr(
        PreparedSRFlow,
        "decode",
        lambda self, latents, conditions: drawn.append(len(latents[0])) or decode(self, latents, conditions),
    )
    grid = picture.with_name("grid.png")
    assert main(["explore", str(picture), "-w", str(tiny / "x4"), "-n", "2", "-q", "--grid", str(grid)]) == 0
    assert grid.is_file() and picture.with_name("p_space.html").is_file()
    assert sum(drawn) == 2
