from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio

from srspace.benchmark import ExternalModel
from srspace.cli.main import main
from srspace.data.datasets import Dataset
from tests.benchmark.common import uint8
from tests.external_models import write_esrgan


@pytest.mark.parametrize("plus", [False, True])
def test_another_model_is_a_row(images: Dataset, tmp_path: Path, capsys, plus: bool):
    path = write_esrgan(tmp_path / "ESRGAN.pth", plus=plus)
    state = torch.load(path)
    assert any("conv1x1" in key for key in state) == plus
    arguments = ["bench", str(images.pairs[0].hr.parent), "--rows", "bicubic", "--compare", str(path), "--csv", "-"]
    assert main([*arguments, "--metrics", "psnr,ssim", "--records", str(tmp_path / "r.jsonl"), "-q"]) == 0
    row = capsys.readouterr().out.splitlines()[2].split(",")
    assert row[:3] == ["compare:ESRGAN", "ESRGAN", "2"] and math.isfinite(float(row[3]))
    from spandrel.architectures.ESRGAN import ESRGAN

    network = ESRGAN(num_filters=8, num_blocks=1, scale=4, plus=plus).eval()
    network.load_state_dict(state)
    expected = []
    for pair in images.pairs:
        hr, lr = pair.load(4)
        with torch.no_grad():
            output = network(lr[None].float() / 255)[0]
        expected.append(peak_signal_noise_ratio(hr.permute(1, 2, 0).numpy(), uint8(output)))
    assert float(row[3]) == pytest.approx(np.mean(expected), abs=1e-5)


def test_another_model_is_tiled_like_ours(tmp_path: Path):
    model = ExternalModel(write_esrgan(tmp_path / "e.pth"), scale=4, device=torch.device("cpu"))
    lr = torch.rand(3, 30, 50, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(model.upscale(lr, tile=16), model.upscale(lr, tile=0), atol=1e-6)


@pytest.mark.parametrize(
    ("name", "code", "words"),
    [
        ("missing.pth", 2, "does not exist"),
        ("text.pth", 3, "not a checkpoint that can be read safely"),
        ("text.md", 3, "not a checkpoint that can be read safely"),
        ("tensors.safetensors", 3, "not a model that spandrel knows"),
        ("pickle.pth", 3, "not a checkpoint that can be read safely"),
        ("x2.pth", 2, "upscales 2x; 4x is needed"),
    ],
)
def test_a_wrong_model_file_is_one_sentence_before_any_work(
    images: Dataset, tmp_path: Path, capsys, name: str, code: int, words: str
):
    from safetensors.torch import save_file

    (tmp_path / "text.pth").write_text("hello")
    (tmp_path / "text.md").write_text("hello")
    save_file({"weight": torch.zeros(3)}, tmp_path / "tensors.safetensors")
    torch.save({"call": print}, tmp_path / "pickle.pth")
    write_esrgan(tmp_path / "x2.pth", scale=2)
    records = tmp_path / "r.jsonl"
    arguments = ["bench", str(images.pairs[0].hr.parent), "--compare", str(tmp_path / name), "--records", str(records)]
    assert main([*arguments, "--metrics", "psnr", "-q"]) == code
    printed = capsys.readouterr()
    lines = printed.err.strip().splitlines()
    assert len(lines) == 1 and words in lines[0] and lines[0].endswith(".") and not records.exists(), printed.err
