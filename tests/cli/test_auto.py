"""``--weights auto`` on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from srspace.cli.main import main
from srspace.families import CLEAN, REAL


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    ramp = np.linspace(80, 150, 96).astype(np.uint8).reshape(8, 12, 1).repeat(3, 2)
    Image.fromarray(ramp).save(tmp_path / "in" / "clean.png")
    noise = np.random.default_rng(0).integers(0, 256, (8, 12, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "in" / "noisy.png")
    return tmp_path / "in"


def upscale(folder: Path, *more: str) -> int:
    return main(["upscale", str(folder), "-o", str(folder.parent / "out"), "--device", "cpu", *more])


def test_a_note_tells_which_weights_and_why(catalogue: Path, folder: Path, capsys: pytest.CaptureFixture[str]):
    assert upscale(folder, "-m", "rrdb") == 0
    clean, noisy, _ = capsys.readouterr().err.splitlines()
    assert clean.endswith(f"; weights {CLEAN.weights}: no damage found)")
    assert f"; weights {REAL.weights}: noise of about " in noisy and noisy.endswith("/255)")
    assert upscale(folder, "-m", "rrdb", "--overwrite", "--weights", CLEAN.weights) == 0
    assert "weights" not in capsys.readouterr().err, "named weights need no words"


def test_json_tells_the_choice(catalogue: Path, folder: Path, capsys: pytest.CaptureFixture[str]):
    assert upscale(folder, "-m", "rrdb", "--json") == 0
    clean, noisy = map(json.loads, capsys.readouterr().out.splitlines())
    assert (clean["weights"], noisy["weights"]) == (CLEAN.weights, REAL.weights)
    assert clean["assessment"]["reasons"] == [] and noisy["assessment"]["family"] == REAL.weights
    assert 0 <= clean["assessment"]["score"] < 0.5 <= noisy["assessment"]["score"] <= 1


def test_a_family_without_the_modes_network_is_told(catalogue: Path, folder: Path, capsys: pytest.CaptureFixture[str]):
    assert upscale(folder / "noisy.png", "-m", "fusion-l1", "-n", "1") == 0
    assert (
        capsys.readouterr()
        .err.rstrip()
        .endswith(f"; weights {CLEAN.weights}, because {REAL.weights} has no network for the mode fusion-l1)")
    )
    assert upscale(folder, "-m", "fusion-lpips") == 3
    assert "the mode fusion-lpips" in capsys.readouterr().err


def test_a_network_of_unknown_origin_needs_its_flow(
    catalogue: Path, folder: Path, tiny: Path, capsys: pytest.CaptureFixture[str]
):
    assert upscale(folder, "-m", "dial", "--fusion", str(tiny / "fusion")) == 2
    message = capsys.readouterr().err
    assert message.rstrip().endswith("Name the flow with --weights.") and len(message.splitlines()) == 1
    assert not (folder.parent / "out").exists()


def test_other_commands_say_that_weights_must_be_named(catalogue: Path, folder: Path, capsys):
    assert main(["bench", "run", str(folder), "--weights", "auto"]) == 3
    assert "must be named" in capsys.readouterr().err
