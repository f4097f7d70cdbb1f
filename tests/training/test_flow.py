from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import srspace
from srspace.data.pools import Batches, PatchPool
from srspace.errors import UsageError
from srspace.metrics import Lpips
from srspace.training.flow import FlowTask
from srspace.training.flow_validation import validate_flow
from srspace.training.loop import Loop
from srspace.training.settings import FlowTaskConfig
from tests.networks import small_flow
from tests.training.conftest import EXACT, SHORT, picture_flow


def log(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def test_training_lowers_the_nll_and_resumes(pool: PatchPool, tmp_path: Path):
    model = small_flow()
    encoder = {k: v.clone() for k, v in model.encoder.state_dict().items()}
    config = replace(SHORT, iterations=20, log_every=5, validate_every=20, ema=0.0, learning_rate=3e-3)
    held_out = tuple(x[:2].float() / 255 for x in (pool.hr, pool.lr))
    batches = Batches(pool, 2, 32)
    Loop(FlowTask(model, batches, FlowTaskConfig(), held_out=held_out), config, tmp_path, execution=EXACT).run()
    records = log(tmp_path)
    assert records[-1]["loss"] < records[0]["loss"] - 0.2
    assert {"val_nll", "val_lr_psnr", "val_exploded"} <= set(records[-1])
    assert all(torch.equal(v, encoder[k]) for k, v in model.encoder.state_dict().items())
    longer = replace(config, iterations=24, log_every=4, validate_every=100)
    loop = Loop(FlowTask(small_flow(seed=9), batches, FlowTaskConfig()), longer, tmp_path, execution=EXACT)
    assert loop.resume()
    again = loop.run()
    assert again["iteration"] == 24 and log(tmp_path)[-1]["loss"] < records[0]["loss"]
    assert all(torch.isfinite(p).all() for p in srspace.load_flow(tmp_path).parameters())


def test_a_fresh_flow_takes_its_actnorms_from_a_batch_and_a_trained_one_does_not(pool: PatchPool):
    def first_bias(config: FlowTaskConfig, *, resumed: bool) -> torch.Tensor:
        model = small_flow()
        before = model.flow.levels[0].transitions[0].actnorm.bias.clone()
        FlowTask(model, Batches(pool, 2, 32), config).start(resumed=resumed)
        return model.flow.levels[0].transitions[0].actnorm.bias.detach() - before

    assert first_bias(FlowTaskConfig(), resumed=False).abs().max() > 0.1
    assert first_bias(FlowTaskConfig(), resumed=True).abs().max() == 0
    assert first_bias(FlowTaskConfig(start="trained"), resumed=False).abs().max() == 0


def test_the_best_flow_has_the_lowest_nll_and_the_best_candidates(pool: PatchPool, critics):
    plain = FlowTask(small_flow(), Batches(pool, 2, 32), FlowTaskConfig())
    assert plain.validate() == {}
    assert plain.score({"val_nll": -3.0}) < plain.score({"val_nll": -2.0})
    config = FlowTaskConfig("trained", perceptual_weight=3.0, mean_weight=5.0)
    task = FlowTask(small_flow(), Batches(pool, 2, 64), config, critics=critics[:1])
    best = {"val_nll": -3.0, "val_alex_sample": 0.2, "val_psnr_mean": 30.0}
    for worse in ({"val_nll": -2.9}, {"val_alex_sample": 0.3}, {"val_psnr_mean": 29.0}):
        assert task.score(best) < task.score(best | worse), worse


def test_training_the_encoder_along_keeps_its_own_output(pool: PatchPool, tmp_path: Path):
    hr, lr = pool.draw(2, 32)
    batches = Batches(pool, 2, 32)

    def loss(**options) -> torch.Tensor:
        return FlowTask(small_flow(), batches, FlowTaskConfig(noise=0.0, **options)).loss(hr, lr)

    own = small_flow().encoder(lr)
    plain = loss(train_encoder=True)
    assert torch.isclose(loss(), plain)
    with_head = loss(train_encoder=True, head_weight=2.0)
    assert torch.isclose(with_head - plain, 2 * (own - hr).abs().mean(), atol=1e-4)
    squared = loss(train_encoder=True, head_weight=2.0, head_loss="l2")
    assert torch.isclose(squared - plain, 2 * (own - hr).square().mean(), atol=1e-4)
    model = small_flow()
    before = {k: v.clone() for k, v in model.encoder.state_dict().items()}
    task = FlowTask(model, batches, FlowTaskConfig(train_encoder=True, head_weight=1.0))
    assert task.rates == {"encoder.": 0.25}
    Loop(task, SHORT, tmp_path, execution=EXACT).run()
    assert any(not torch.equal(v, before[k]) for k, v in model.encoder.state_dict().items())


def test_noise_makes_the_likelihood_bounded(pool: PatchPool):
    hr, lr = pool.draw(2, 32)
    config = FlowTaskConfig(noise=20.0)
    task = FlowTask(small_flow(), Batches(pool, 2, 32), config)
    assert task.loss(hr, lr) > FlowTask(small_flow(), task.batches, replace(config, noise=0.0)).loss(hr, lr)


def test_figures_are_those_of_the_averaged_weights(pool: PatchPool, tmp_path: Path):
    """Candidates are decoded with the inverses of the weights that are validated."""
    model = small_flow()
    task = FlowTask(model, Batches(pool, 2, 32), FlowTaskConfig(), held_out=pool.draw(2, 32))
    loop = Loop(task, SHORT, tmp_path, execution=EXACT)
    before = loop._validation()
    for parameter in loop.optimizer.parameters:  # as a replayed CUDA graph does: no version counter moves
        values = parameter.detach().numpy()
        values *= 1.05
    assert loop._validation() == before
    loop.average.values = [p.detach().clone() for p in loop.optimizer.parameters]
    assert loop._validation()["val_psnr_sample"] != before["val_psnr_sample"]


def test_figures_of_a_flow(pool: PatchPool, critics: tuple[Lpips, ...]):
    model = picture_flow().eval()
    hr, lr = pool.draw(10, 64)  # more than are worked on at a time
    figures = validate_flow(model, hr, lr, noise=0.0, critics=critics[:1])
    assert figures == validate_flow(model, hr, lr, noise=0.0, critics=critics[:1])
    assert figures["val_nll"] == pytest.approx(model.encode(hr, lr)[1].mean().item(), rel=1e-4)
    own = (-10 * (model.encoder(lr).clamp(0, 1) - hr).square().flatten(1).mean(1).log10()).mean()
    assert figures["val_psnr_rrdb"] == pytest.approx(own.item(), rel=1e-4)
    assert figures["val_psnr_mean"] > figures["val_psnr_sample"]
    assert 0 < figures["val_alex_sample"] < 2 and figures["val_exploded"] > 0.5  # at this temperature


@pytest.mark.parametrize(("weights", "figure"), [((1e4, 0.0), "val_alex_sample"), ((1e-3, 1e5), "val_psnr_mean")])
def test_losses_of_candidates_improve_what_they_name(pool: PatchPool, tmp_path: Path, critics, weights, figure):
    critics = critics[:1]
    hr, lr = pool.draw(2, 64)
    # Weights that leave the likelihood no say: what improves does so by the gradients of the inverse.
    config = FlowTaskConfig("trained", perceptual_weight=weights[0], mean_weight=weights[1], temperatures=(0.8, 0.9))
    model = picture_flow()
    before = validate_flow(model.eval(), hr, lr, noise=0.0, critics=critics)
    task = FlowTask(model, Batches(pool, 2, 64), replace(config, noise=0.0), critics=critics, held_out=(hr, lr))
    settings = replace(SHORT, iterations=18, patch=64, learning_rate=3e-3, ema=0.5, validate_every=6, log_every=6)
    Loop(task, settings, tmp_path, execution=EXACT).run()
    after = validate_flow(model.eval(), hr, lr, noise=0.0, critics=critics)
    if figure == "val_alex_sample":
        assert after[figure] < 0.9 * before[figure]
    else:
        assert after[figure] > before[figure] + 1
    scores = [record["val_nll"] + weights[0] * record["val_alex_sample"]
              + weights[1] * 10 ** (-record["val_psnr_mean"] / 10) for record in log(tmp_path)]  # fmt: skip
    assert [task.score(record) for record in log(tmp_path)] == pytest.approx(scores)
    best = json.loads((tmp_path / "best" / "config.json").read_text())["training"]["iteration"]
    assert best == 6 * (1 + int(np.argmin(scores)))


@pytest.mark.parametrize(("size", "patch"), [(2, 40), (1, 64)])
def test_losses_of_candidates_refuse_batches_that_do_not_suffice(pool: PatchPool, size: int, patch: int):
    with pytest.raises(UsageError, match="56 pixels, and two in a batch"):
        FlowTask(picture_flow(), Batches(pool, size, patch), FlowTaskConfig("trained", perceptual_weight=1.0))
