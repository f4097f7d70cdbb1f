"""Results in the terminal."""

from __future__ import annotations

import io
import os
import pty
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from srspace.cli.main import main
from srspace.cli.preview import half_blocks, preview
from tests.processes import start


def screen(width: int, height: int) -> Console:
    return Console(file=io.StringIO(), force_terminal=True, color_system="truecolor", width=width, height=height)


def text(console: Console) -> str:
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_half_blocks_show_two_pixels_a_character():
    image = np.zeros((4, 2, 3), np.uint8)
    image[0], image[1] = (255, 0, 0), (0, 0, 255)
    console = screen(80, 24)
    console.print(half_blocks(image, 2, 2))
    lines = text(console).splitlines()
    assert [line.count("\N{UPPER HALF BLOCK}") for line in lines if line] == [2, 2]
    assert "38;2;255;0;0;48;2;0;0;255" in lines[0] and "38;2;0;0;0;48;2;0;0;0" in lines[1]


@pytest.mark.parametrize(("size", "width", "height"), [((400, 100), 80, 24), ((100, 400), 80, 24), ((3, 2), 20, 10)])
def test_a_picture_fits_the_terminal(tmp_path: Path, size: tuple[int, int], width: int, height: int):
    Image.new("RGB", size, "red").save(tmp_path / "p.png")
    console = screen(width, height)
    preview(tmp_path / "p.png", console)
    lines = [line for line in text(console).splitlines() if line]
    columns = lines[0].count("\N{UPPER HALF BLOCK}")
    assert columns <= width and len(lines) <= height - 4
    assert columns / (2 * len(lines)) == pytest.approx(size[0] / size[1], rel=0.3)


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    rgb = (128 + 20 * np.random.default_rng(0).random((10, 12, 3))).astype(np.uint8)
    Image.fromarray(rgb).save(tmp_path / "p.png")
    return tmp_path / "p.png"


def test_a_pipe_gets_no_pictures(picture: Path, tiny: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["upscale", str(picture), "-w", str(tiny / "x4"), "-n", "1", "--preview"]) == 0
    printed = capsys.readouterr()
    assert "\N{UPPER HALF BLOCK}" not in printed.out + printed.err and "p_x4.png" in printed.err


@pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo-terminals")
def test_a_terminal_gets_one(picture: Path, tiny: Path):
    ours, theirs = pty.openpty()
    arguments = ["upscale", picture, "-w", tiny / "x4", "-n", "1", "--preview"]
    environment = os.environ | {"TERM": "xterm-256color", "COLORTERM": "truecolor"}
    process = start(*arguments, stdin=theirs, stdout=theirs, stderr=theirs, env=environment)
    os.close(theirs)
    shown = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # Linux says so when the other end is closed
            break
        if not part:
            break
        shown += part
    assert process.wait() == 0
    assert "\N{UPPER HALF BLOCK}".encode() in shown


def test_a_grid_is_drawn_beside_the_result(picture: Path, tiny: Path, capsys: pytest.CaptureFixture[str]):
    grid = picture.with_name("grid.png")
    command = ["upscale", str(picture), "-w", str(tiny / "x4"), "-n", "2", "-q"]
    assert main([*command, "--grid", str(grid)]) == 0
    with Image.open(grid) as image:
        last = (image.width - 180, image.height - 180)
        assert image.width > 800 and image.getpixel(last) == (255, 255, 255)
    assert main([*command, "--overwrite", "--grid", str(grid), "--fusion", str(tiny / "dial")]) == 0
    with Image.open(grid) as image:
        assert image.getpixel(last) != (255, 255, 255), "the dial adds three crops to the seven"
    assert picture.with_name("p_x4.png").is_file()
    assert main([*command, str(tiny), "--grid", str(grid)]) == 2
    assert "--grid shows one picture" in capsys.readouterr().err
    assert main([*command, "--grid", "grid.svg"]) == 2
    assert "grid.svg will not do" in capsys.readouterr().err
