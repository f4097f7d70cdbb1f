from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from srspace.cli.main import main
from srspace.images import Picture, write_picture


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
