from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import srspace
from srspace.cli.main import main
from srspace.config import FusionConfig, TrainConfig
from srspace.data.patches import PatchPool, load_pool
from srspace.errors import DataError
from srspace.metrics import Lpips
from srspace.models import FusionNet
from srspace.resize import imresize
from srspace.training.encoder import train_encoder
from srspace.training.flow import train_flow
from srspace.training.fusion import draw_candidates, train_fusion
from tests.conftest import small_flow


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for i in range(3):
        coarse = rng.integers(40, 215, (12, 12, 3), np.uint8)
        Image.fromarray(coarse).resize((72, 72), Image.Resampling.BICUBIC).save(folder / f"{i}.png")
    return folder


@pytest.fixture
def pool(photos: Path) -> PatchPool:
    return load_pool(photos, scale=4, tile=64)


SHORT = TrainConfig(
    iterations=6, batch_size=2, patch=32, warmup=1, log_every=2, validate_every=3, save_every=3, learning_rate=1e-3
)


def test_crops_of_hr_and_lr_show_the_same_place(pool: PatchPool):
    torch.manual_seed(0)
    hr, lr = pool.draw(16, 32)
    assert (hr.shape, lr.shape) == ((16, 3, 32, 32), (16, 3, 8, 8))
    inner = (imresize(hr, 0.25) - lr)[..., 2:-2, 2:-2]
    assert inner.abs().max() < 2.5 / 255


def test_flow_training_lowers_the_nll_and_resumes(pool: PatchPool, tmp_path: Path):
    model = small_flow()
    encoder = {k: v.clone() for k, v in model.encoder.state_dict().items()}
    config = TrainConfig(**{**SHORT.to_dict(), "iterations": 40, "log_every": 10, "ema": 0.0})
    records: list[dict[str, float]] = []
    validation = tuple(x[:2].float() / 255 for x in (pool.hr, pool.lr))
    train_flow(
        model, pool, config, tmp_path / "run", validation=validation, initialize=True, amp=False, report=records.append
    )
    assert records[-1]["loss"] < records[0]["loss"] - 0.2
    assert {"val_nll", "val_lr_psnr", "val_exploded"} <= set(records[-1])
    assert all(torch.equal(v, encoder[k]) for k, v in model.encoder.state_dict().items())
    longer = TrainConfig(**{**config.to_dict(), "iterations": 44, "log_every": 4})
    again = train_flow(small_flow(seed=9), pool, longer, tmp_path / "run", amp=False)
    assert again["iteration"] == 44 and again["loss"] < records[0]["loss"]
    saved = srspace.load_flow(tmp_path / "run")
    assert all(torch.isfinite(p).all() for p in saved.parameters())
    log = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert {"loss", "learning_rate", "iterations_per_second"} <= set(log[0])


def test_encoder_training(pool: PatchPool, tmp_path: Path):
    encoder = small_flow().encoder
    config = TrainConfig(**{**SHORT.to_dict(), "iterations": 60, "log_every": 20})
    records: list[dict[str, float]] = []
    train_encoder(encoder, pool, config, tmp_path / "run", amp=False, report=records.append)
    assert records[-1]["loss"] < records[0]["loss"]


@pytest.mark.parametrize("loss", ["l1", "lpips"])
def test_fusion_training(pool: PatchPool, tmp_path: Path, loss):
    try:
        Lpips("squeeze")
    except DataError:
        pytest.skip("no LPIPS backbone in TORCH_HOME")
    stacks = draw_candidates(small_flow(), pool, patches=2, samples=4, patch=48)
    network = FusionNet(FusionConfig(samples=3, channels=8))
    record = train_fusion(
        network, stacks, SHORT, tmp_path / "run", loss=loss, backbone="squeeze", validation=stacks, amp=False
    )
    assert record["iteration"] == 6 and "val_psnr_fusion" in record
    assert srspace.load_fusion(tmp_path / "run").config.samples == 3


def test_the_command_trains_and_its_mistakes_are_one_sentence(photos: Path, tmp_path: Path, capsys):
    config = tmp_path / "train.json"
    config.write_text(json.dumps({"iterations": 2, "batch_size": 1, "patch": 32}))
    run = ["train", "flow", "--data", str(photos), "--tile", "64", "--device", "cpu", "--config", str(config)]
    assert main([*run, "--out", str(tmp_path / "run"), "--from", srspace.DEFAULT_WEIGHTS]) == 0
    assert srspace.load_flow(tmp_path / "run").scale == 4
    config.write_text('{"patchs": 3}')
    assert main([*run, "--out", str(tmp_path / "x")]) == 2
    assert main(["train", "fusion", "--data", str(photos), "--out", str(tmp_path / "y"), "--loss", "l3"]) == 2
    assert main(["train", "encoder", "--data", str(tmp_path / "no"), "--out", str(tmp_path / "y")]) == 1
    assert "Traceback" not in capsys.readouterr().err
