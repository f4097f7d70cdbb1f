from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from srspace.cli.main import main


def picture(path: Path, size: tuple[int, int] = (8, 6), seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    Image.fromarray(rng.integers(90, 160, (size[1], size[0], 3), np.uint8)).save(path)
    return path


def run(*arguments: str | Path, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "srspace", *map(str, arguments)]
    return subprocess.run(command, input=stdin, capture_output=True, timeout=120, check=False)


def test_help_and_version_import_nothing_heavy():
    code = (
        "import sys; from srspace.cli.main import main; code = main(['upscale', '--help']);"
        "print([m for m in ('torch', 'numpy', 'PIL', 'huggingface_hub') if m in sys.modules]); sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0 and done.stdout.rstrip().endswith("[]")
    assert run("--version").stdout.startswith(b"srspace 0")


@pytest.mark.parametrize("mode", ["mean", "median", "fusion-l1", "fusion-lpips", "sample", "rrdb"])
def test_every_mode_writes_a_picture_of_four_times_the_size(tmp_path: Path, mode: str, capsys):
    source = picture(tmp_path / "a.png")
    assert main(["upscale", str(source), "--mode", mode, "--device", "cpu", "--json"]) == 0
    with Image.open(tmp_path / "a_x4.png") as image:
        assert image.size == (32, 24)
    record = json.loads(capsys.readouterr().out)
    assert (record["status"], record["mode"], record["width"], record["height"]) == ("done", mode, 32, 24)


def test_pipes():
    data = io.BytesIO()
    Image.new("RGB", (5, 4), (100, 120, 140)).save(data, "PNG")
    done = run("upscale", "-", "--mode", "rrdb", "--json", stdin=data.getvalue())
    assert done.returncode == 0, done.stderr
    assert Image.open(io.BytesIO(done.stdout)).size == (20, 16)
    assert json.loads(done.stderr)["status"] == "done"


def test_a_folder_keeps_its_structure_and_a_second_run_does_nothing(tmp_path: Path, capsys):
    picture(tmp_path / "in" / "a.png")
    picture(tmp_path / "in" / "sub" / "a.png", seed=1)
    (tmp_path / "in" / "notes.txt").write_text("no picture")
    arguments = ["upscale", str(tmp_path / "in"), "-o", str(tmp_path / "out"), "-r", "--mode", "rrdb", "--json"]
    for status in ("done", "kept"):
        assert main(arguments) == 0
        assert [json.loads(line)["status"] for line in capsys.readouterr().out.splitlines()] == [status] * 2
    assert sorted(p.name for p in (tmp_path / "out").rglob("*.png")) == ["a_x4.png", "a_x4.png"]
    assert main(["upscale", str(tmp_path / "in"), "--mode", "rrdb"]) == 0
    assert main(["upscale", str(tmp_path / "in"), "--mode", "rrdb"]) == 0
    assert sorted(p.name for p in (tmp_path / "in").glob("*.png")) == ["a.png", "a_x4.png"]


def test_bad_files_are_reported_and_the_rest_goes_on(tmp_path: Path):
    picture(tmp_path / "good.png")
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "text.jpg").write_text("hello")
    whole = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)).save(whole, "JPEG")
    (tmp_path / "cut.jpg").write_bytes(whole.getvalue()[:900])
    done = run("upscale", tmp_path, "-o", tmp_path / "out", "--mode", "rrdb", "-q")
    assert done.returncode == 1
    lines = done.stderr.decode().splitlines()
    assert len(lines) == 3 and all(line.startswith("srspace: ") and "Traceback" not in line for line in lines)
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["good_x4.png"]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["upscale", "missing/"], 2),
        (["upscale", "--mode", "best", "IN"], 2),
        (["upscale", "--tau", "-1", "IN"], 2),
        (["upscale", "-n", "7", "--mode", "fusion-l1", "IN"], 2),
        (["upscale", "--device", "abacus", "IN"], 2),
        (["upscale", "--weights", "nothing", "IN"], 3),
        (["upscale", "-o", "IN/x/out.png", "IN"], 1),
        (["upscale", "-o", "out.xyz", "IN"], 2),
        (["upscale"], 2),
        (["upscale", "--nonsense", "IN"], 2),
    ],
)
def test_mistakes_have_their_exit_code_and_a_message(tmp_path: Path, capsys, arguments: list[str], code: int):
    source = picture(tmp_path / "a.png")
    assert main([a.replace("IN", str(source)) for a in arguments]) == code
    printed = capsys.readouterr()
    assert printed.err.strip() and "Traceback" not in printed.err and printed.out == ""
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.png"]


def test_empty_standard_input():
    done = run("upscale", "-", "--mode", "rrdb")
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.decode().splitlines() == ["srspace: standard input is empty."]


def test_two_inputs_never_write_to_one_output(tmp_path: Path, capsys):
    a, b = picture(tmp_path / "1" / "a.png"), picture(tmp_path / "2" / "a.png")
    assert main(["upscale", str(a), str(b), "-o", str(tmp_path / "out")]) == 2
    assert "both" in capsys.readouterr().err and not (tmp_path / "out").exists()
    assert main(["upscale", str(a), "--suffix", ""]) == 2


def test_a_killed_run_leaves_nothing_partial_and_is_finished_by_the_next(tmp_path: Path):
    for i in range(6):
        picture(tmp_path / "in" / f"{i}.png", (48, 48), seed=i)
    out = tmp_path / "out"
    arguments = ["upscale", tmp_path / "in", "-o", out, "--mode", "rrdb", "--json"]
    process = subprocess.Popen([sys.executable, "-m", "srspace", *map(str, arguments)], stdout=subprocess.PIPE)
    deadline = time.monotonic() + 60
    while not list(out.glob("*_x4.png")) and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    early = sorted(out.glob("*_x4.png"))
    assert early
    for path in early:
        with Image.open(path) as image:
            image.load()
    done = run(*arguments)
    assert done.returncode == 0
    statuses = [json.loads(line)["status"] for line in done.stdout.splitlines()]
    assert statuses.count("kept") == len(early) and len(list(out.glob("*_x4.png"))) == 6


def test_alpha_grey_and_depth_survive(tmp_path: Path):
    Image.new("LA", (6, 6), (200, 255)).save(tmp_path / "la.png")
    rgba = Image.new("RGBA", (8, 8), (255, 255, 255, 255))
    rgba.paste((0, 0, 0, 0), (0, 0, 4, 8))
    rgba.save(tmp_path / "rgba.png")
    assert main(["upscale", str(tmp_path), "-o", str(tmp_path / "out"), "--mode", "rrdb"]) == 0
    with Image.open(tmp_path / "out" / "la_x4.png") as image:
        assert image.mode == "LA"
    with Image.open(tmp_path / "out" / "rgba_x4.png") as image:
        samples = np.asarray(image).astype(float)
    visible = samples[..., 3] > 40
    assert samples[visible][:, :3].min() > 200, "a dark fringe"


def test_save_samples(tmp_path: Path):
    source = picture(tmp_path / "a.png")
    assert (
        main(["upscale", str(source), "-n", "2", "--save-samples", str(tmp_path / "s"), "-o", str(tmp_path / "o.png")])
        == 0
    )
    assert sorted(p.name for p in (tmp_path / "s").iterdir()) == ["a.png_000.png", "a.png_001.png"]
