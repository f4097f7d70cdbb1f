"""What ``srspace upscale`` says about files, and its options for them."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from PIL import Image

from srspace.cli.main import main
from srspace.images import Metadata, read_picture
from srspace.images.animation import is_animated
from tests.pictures import encoded, picture
from tests.processes import run
from tests.seeds import samples, seeds

SEEDS = seeds()


@pytest.fixture
def upscale(tiny: Path, tmp_path: Path):
    def run(*arguments: str | Path) -> int:
        common = ["upscale", "-m", "rrdb", "-w", str(tiny / "x4"), "-o", str(tmp_path / "out")]
        return main([*common, *map(str, arguments)])

    return run


def test_left_out_files_are_counted_and_named_in_one_line(tmp_path: Path, upscale, capsys):
    picture(tmp_path / "in" / "a.png")
    for name in ("b.psd", "c.psd", "d.dng"):
        (tmp_path / "in" / name).write_bytes(b"anything")
    assert upscale(tmp_path / "in") == 0
    lines = capsys.readouterr().err.splitlines()
    assert lines[-2].startswith("3 files were left out: b.psd, c.psd (a Photoshop file, which is not read); d.dng (")
    assert len(lines) == 3
    for number in range(30):
        (tmp_path / "in" / f"x{number:02}.nef").write_bytes(b"anything")
    assert upscale(tmp_path / "in") == 0
    assert "x18.nef and 11 more (a camera's raw file" in capsys.readouterr().err
    for path in (tmp_path / "in").glob("*.nef"):
        path.unlink()
    assert upscale(tmp_path / "in", "-q", "--overwrite") == 0 and capsys.readouterr().err == ""
    assert upscale(tmp_path / "in", "--json") == 0
    records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [r["status"] for r in records] == ["kept", "left_out", "left_out", "left_out"]
    assert "Photoshop" in records[1]["error"]


def test_warnings_follow_the_picture(tmp_path: Path, upscale, capsys):
    (tmp_path / "a.jpg").write_bytes(SEEDS["jpg_no_eoi.jpg"])
    assert upscale(tmp_path / "a.jpg") == 0
    first, second = capsys.readouterr().err.splitlines()
    assert " -> " in first and second == f"{tmp_path / 'a.jpg'}: its end marker is missing; all its pixels were there."
    assert upscale(tmp_path / "a.jpg", "--overwrite", "-q") == 0 and capsys.readouterr().err == ""
    assert upscale(tmp_path / "a.jpg", "--overwrite", "--json") == 0
    assert json.loads(capsys.readouterr().out)["warnings"] == ["its end marker is missing; all its pixels were there."]


def test_options_for_files_do_what_they_say(tmp_path: Path, upscale, capsys):
    (tmp_path / "a.gif").write_bytes(SEEDS["animated.gif"])
    assert upscale(tmp_path / "a.gif") == 0
    assert "3 frames" in capsys.readouterr().err and is_animated((tmp_path / "out" / "a_x4.gif").read_bytes())
    assert upscale(tmp_path / "a.gif", "--first-frame") == 0
    assert not is_animated((tmp_path / "out" / "a_x4.png").read_bytes())
    exif = Image.Exif()
    exif[0x010F] = "Fictive"
    exif.get_ifd(0x8825)[1] = "N"
    (tmp_path / "b.jpg").write_bytes(encoded(Image.fromarray(samples()), "JPEG", exif=exif, dpi=(300, 300)))
    result = tmp_path / "out" / "b_x4.jpg"
    assert upscale(tmp_path / "b.jpg", "--strip-gps") == 0
    assert b"Fictive" in result.read_bytes() and b"N\0\0\0" not in (read_picture(result).metadata.exif or b"")
    assert upscale(tmp_path / "b.jpg", "--strip", "--overwrite") == 0
    assert read_picture(result).metadata == Metadata()


def test_candidates_of_an_animation_name_the_option_that_helps(tmp_path: Path, tiny: Path, capsys):
    (tmp_path / "a.gif").write_bytes(SEEDS["animated.gif"])
    arguments = ["upscale", str(tmp_path / "a.gif"), "-m", "sample", "-w", str(tiny / "x4")]
    assert main([*arguments, "--save-samples", str(tmp_path / "s")]) == 1
    assert "Use --first-frame" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["/dev/stdin", "/proc/self/fd/0"])
def test_paths_of_standard_input_write_to_standard_output(tiny: Path, name: str):
    done = run("upscale", name, "-m", "rrdb", "-w", tiny / "x4", "-q", input=SEEDS["rgba.png"])
    assert done.returncode == 0, done.stderr
    assert Image.open(io.BytesIO(done.stdout)).size == (96, 80)


def test_a_file_behind_a_path_of_standard_input_is_not_what_is_named(tmp_path: Path, tiny: Path):
    source = tmp_path / "a.png"
    source.write_bytes(SEEDS["rgba.png"])
    beside = Path("/dev/stdin_x4.png")
    try:
        with source.open("rb") as file:
            done = run("upscale", "/dev/stdin", "-m", "rrdb", "-w", tiny / "x4", "-q", stdin=file)
        assert done.returncode == 0 and not beside.exists() and list(tmp_path.iterdir()) == [source]
    finally:
        beside.unlink(missing_ok=True)
    assert Image.open(io.BytesIO(done.stdout)).size == (96, 80)


def test_nothing_but_files_that_are_not_read_is_said_so(tmp_path: Path, upscale, capsys):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.psd").write_bytes(b"8BPS")
    assert upscale(tmp_path / "in") == 2
    assert "(left out: a.psd)" in capsys.readouterr().err
    assert upscale(tmp_path / "in" / "a.psd") == 1
    assert "is a Photoshop file, which is not read" in capsys.readouterr().err


def test_decoders_write_nothing_to_standard_error(tmp_path: Path, tiny: Path):
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("tiff16_damaged_strip.tif", "tiff16_lzma.tif", "png_badcrc_text.png"):
        (folder / name).write_bytes((Path(__file__).parents[1] / "field" / "files" / name).read_bytes())
    damaged = bytearray(SEEDS["lzma.tif"])
    damaged[len(damaged) // 2] ^= 255
    (folder / "lzma.tif").write_bytes(damaged)
    done = run("upscale", folder, "-m", "rrdb", "-w", tiny / "x4", "-q")
    assert done.returncode == 1
    assert all(line.startswith(b"srspace: ") for line in done.stderr.splitlines()) and done.stderr.count(b"\n") == 3
