from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from srspace.errors import UsageError
from srspace.families import CLEAN, REAL
from srspace.images import read_picture
from srspace.serve.asking import batch_settings
from srspace.serve.settings import ServeSettings
from srspace.serve.studio import Answer, Studio
from tests.external_models import write_compact
from tests.pictures import picture

AUTO = ServeSettings(device="cpu", precision="fp32")


def made(studio: Studio, settings: ServeSettings, source: Path, **asked: str) -> Answer:
    return studio.upscale(source.read_bytes(), "a", studio.settled(batch_settings(asked, settings)))


def test_weights_are_chosen_for_each_picture_and_every_mode_that_they_serve_is_there(catalogue: Path, tmp_path: Path):
    studio = Studio(AUTO)
    assert studio.default.name == "dial" and {"dial", "mean", "rrdb", "fusion-l1"} <= set(studio.modes)
    noisy = picture(tmp_path / "a.png", (24, 24))
    Image.new("RGB", (24, 24), (90, 120, 150)).save(tmp_path / "b.png")
    chosen = [made(studio, AUTO, tmp_path / name, balance="0.3").record for name in ("a.png", "b.png")]
    assert [record["weights"] for record in chosen] == [REAL.weights, CLEAN.weights]
    assert all(record["parameters"] == {"balance": 0.3} and record["fusion_sha256"] for record in chosen)
    with pytest.raises(UsageError, match="balance"):
        made(studio, AUTO, noisy, mode="rrdb", balance="0.3")


def test_another_projects_model_is_served(tmp_path: Path):
    settings = ServeSettings(weights=str(write_compact(tmp_path / "x2.pth", scale=2)), device="cpu")
    studio = Studio(settings)
    answer = made(studio, settings, picture(tmp_path / "a.png"), scale="2")
    assert list(studio.modes) == ["model"] and answer.record["mode"] == "model" and answer.record["weights"] == "x2.pth"
    assert read_picture(answer.file.data).rgb.shape == (12, 16, 3)
    assert np.ptp(read_picture(answer.file.data).rgb) > 0
