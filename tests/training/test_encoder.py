from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import torch

from srspace.data.pools import Batches, PatchPool
from srspace.training.encoder import EncoderTask, oriented_output
from srspace.training.loop import Loop
from srspace.training.settings import EncoderTaskConfig
from tests.training.conftest import EXACT, SHORT, tiny_encoder


def trained(pool: PatchPool, folder: Path, config: EncoderTaskConfig, **more) -> EncoderTask:
    task = EncoderTask(tiny_encoder(), Batches(pool, 2, 32), config, **more)
    Loop(
        task,
        replace(SHORT, iterations=30, log_every=10, validate_every=10, ema=0.5, learning_rate=3e-3),
        folder,
        execution=EXACT,
    ).run()
    return task


def test_training_lowers_the_loss_and_validates(pool: PatchPool, tmp_path: Path):
    trained(pool, tmp_path, EncoderTaskConfig(), held_out=pool.draw(2, 32))
    log = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    losses = [record["loss"] for record in log if record["iteration"] % 10 == 0]
    assert losses[-1] < losses[0]
    best = max(log, key=lambda record: record.get("val_psnr_y", 0))
    saved = json.loads((tmp_path / "best" / "config.json").read_text())["training"]["iteration"]
    assert saved == best["iteration"] and log[-1]["val_psnr_y"] > log[0]["val_psnr_y"]


def test_the_best_encoder_has_the_highest_psnr(pool: PatchPool):
    task = EncoderTask(tiny_encoder(), Batches(pool, 2, 32), EncoderTaskConfig())
    assert task.validate() == {}
    assert task.score({"val_psnr_y": 30.0}) < task.score({"val_psnr_y": 29.0})


def test_the_loss_is_the_one_that_was_asked_for(pool: PatchPool):
    hr, lr = pool.draw(4, 32)
    for kind, distance in (("l1", torch.abs), ("l2", torch.square)):
        task = EncoderTask(tiny_encoder(), Batches(pool, 2, 32), EncoderTaskConfig(loss=kind))
        assert torch.isclose(task.loss(hr, lr), distance(task.network(lr) - hr).mean())


def test_a_teacher_draws_the_encoder_towards_its_own_output(pool: PatchPool, tmp_path: Path):
    teacher = tiny_encoder(1)
    lr = pool.draw(4, 32)[1]

    def distance(weight: float) -> float:
        config = EncoderTaskConfig(teacher="named", teacher_weight=weight)
        encoder = trained(pool, tmp_path / str(weight), config, teacher=teacher).network
        return (encoder(lr) - teacher(lr)).abs().mean().item()

    assert distance(20.0) < 0.7 * distance(0.0)


def test_an_oriented_output_is_turned_back():
    torch.manual_seed(0)
    lr = torch.rand(16, 3, 6, 6)
    upscale = torch.nn.Upsample(scale_factor=4)
    assert torch.equal(oriented_output(upscale, lr), upscale(lr))
    seen = []
    oriented_output(lambda x: seen.append(x) or x, lr)
    assert len({tuple(a.flatten().argsort()[:3].tolist()) for a in seen[0] - lr}) > 8
    assert torch.equal(seen[0].flatten(1).sort(1).values, lr.flatten(1).sort(1).values)
