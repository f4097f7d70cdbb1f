from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from srspace.checkpoints import load_encoder, read_config
from srspace.errors import CheckpointError, TrainingError
from srspace.training.loop import Loop
from tests.training.conftest import EXACT, SHORT, ToyTask


def weights(network: torch.nn.Module) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in network.parameters()])


def log(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def test_the_loss_falls_and_every_interval_is_kept(tmp_path: Path):
    config = replace(SHORT, iterations=60, log_every=20, validate_every=25, ema=0.0)
    seen: list[dict[str, float]] = []
    task = ToyTask(iter([3.0, 2.0, 1.0]))
    last = Loop(task, config, tmp_path, execution=EXACT, report=seen.append).run()
    assert [r["iteration"] for r in seen] == [20, 25, 40, 50, 60]
    assert [r["iteration"] for r in seen if "figure" in r] == [25, 50, 60]
    assert seen[-1]["loss"] < seen[0]["loss"] and last == seen[-1]
    assert log(tmp_path) == seen
    assert {"loss", "learning_rate", "iterations_per_second", "seconds"} <= set(seen[0])


def test_the_learning_rate_of_the_schedule_reaches_the_weights(tmp_path: Path):
    config = replace(SHORT, iterations=8, log_every=1, validate_every=8, save_every=8)
    steps: list[float] = []
    rates: list[float] = []
    task = ToyTask()
    before = weights(task.network)

    def report(record: dict[str, float]) -> None:
        nonlocal before
        now = weights(task.network)
        steps.append((now - before).abs().max().item())
        rates.append(record["learning_rate"])
        before = now

    Loop(task, config, tmp_path, execution=EXACT, report=report).run()
    assert rates == sorted(rates, reverse=True) and rates[-1] < 0.1 * rates[0]
    assert steps[-1] < 0.3 * max(steps[:3])  # Adam's steps are as long as its rate


def test_what_is_saved_and_validated_is_the_average(tmp_path: Path):
    validated: list[torch.Tensor] = []

    class Watched(ToyTask):
        def validate(self) -> dict[str, float]:
            assert not self.network.training
            validated.append(weights(self.network))
            return {"figure": 1.0}

    task = Watched()
    begun = weights(task.network)
    loop = Loop(task, replace(SHORT, ema=0.9), tmp_path, execution=EXACT, dtype=torch.float32)
    loop.run()
    average = torch.cat([value.flatten() for value in loop.average.values])
    assert torch.equal(validated[-1], average) and task.network.training
    assert torch.equal(weights(load_encoder(tmp_path)), average)
    ended = weights(task.network)
    for other in (begun, ended):
        assert (average - other).abs().max() > 1e-5


def test_an_interrupted_training_ends_as_an_uninterrupted_one(tmp_path: Path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    config = replace(SHORT, schedule="constant", accumulate=2)
    uninterrupted = ToyTask()
    Loop(uninterrupted, config, whole, execution=EXACT).run()
    first = ToyTask()
    Loop(first, replace(config, iterations=3), parts, execution=EXACT).run()
    again = ToyTask()
    loop = Loop(again, config, parts, execution=EXACT)
    assert loop.resume() and loop.progress.iteration == 3 and loop.progress.seconds > 0
    assert torch.equal(weights(again.network), weights(first.network))
    loop.run()
    assert torch.equal(weights(again.network), weights(uninterrupted.network))
    saved = [(folder / "model.safetensors").read_bytes() for folder in (whole, parts)]
    assert saved[0] == saved[1]


def test_a_state_that_does_not_fit_is_refused(tmp_path: Path):
    Loop(ToyTask(), replace(SHORT, iterations=1), tmp_path, execution=EXACT).run()
    other = ToyTask()
    other.network.conv_last = torch.nn.Conv2d(4, 5, 3)
    with pytest.raises(CheckpointError, match="does not fit this training"):
        Loop(other, SHORT, tmp_path, execution=EXACT).resume()
    (tmp_path / "training.pt").write_bytes(b"PK\x03\x04 damaged")
    with pytest.raises(CheckpointError, match="does not fit this training"):
        Loop(ToyTask(), SHORT, tmp_path, execution=EXACT).resume()
    assert not Loop(ToyTask(), SHORT, tmp_path / "empty", execution=EXACT).resume()


def test_the_weights_that_validated_best_are_kept(tmp_path: Path):
    config = replace(SHORT, iterations=3, log_every=1, validate_every=1)
    best: list[int] = []

    def report(_: dict[str, float]) -> None:
        best.append(read_config(tmp_path / "best")["training"]["iteration"])

    Loop(ToyTask(iter([3.0, 1.0, 2.0])), config, tmp_path, execution=EXACT, report=report).run()
    resumed = Loop(ToyTask(iter([1.5])), replace(config, iterations=4), tmp_path, execution=EXACT, report=report)
    assert resumed.resume() and resumed.progress.best == 1.0
    resumed.run()
    assert best == [1, 2, 2, 2]
    assert read_config(tmp_path)["training"]["iteration"] == 4


def test_a_step_that_is_not_finite_is_skipped_and_counted(tmp_path: Path):
    before: dict[int, torch.Tensor] = {}

    class Watched(ToyTask):
        def prepare(self, iteration: int) -> None:
            super().prepare(iteration)
            before[iteration] = weights(self.network)

    task = Watched(spoil=lambda i, loss: loss * float("nan") if i == 2 else loss)
    Loop(task, replace(SHORT, log_every=3), tmp_path, execution=EXACT).run()
    assert torch.equal(before[3], before[2])
    assert not torch.equal(before[2], before[1]) and not torch.equal(before[4], before[3])
    assert torch.isfinite(weights(task.network)).all()
    assert [record.get("skipped") for record in log(tmp_path)] == [1, None]


def test_losses_that_are_never_finite_end_a_training(tmp_path: Path):
    task = ToyTask(spoil=lambda i, loss: loss / 0 if i > 1 else loss)
    with pytest.raises(TrainingError, match="no loss since iteration 2 is finite"):
        Loop(task, replace(SHORT, save_every=1), tmp_path, execution=EXACT).run()
    assert torch.isfinite(weights(load_encoder(tmp_path))).all()


def test_a_time_limit_ends_a_training_cleanly(tmp_path: Path):
    config = replace(SHORT, iterations=10**6, time_limit=0.3, save_every=10**6, validate_every=10**6)
    record = Loop(ToyTask(iter([1.0])), config, tmp_path, execution=EXACT).run()
    assert 0 < record["iteration"] < 10**6 and record["figure"] == 1.0
    assert torch.load(tmp_path / "training.pt", weights_only=True)["iteration"] == record["iteration"]


def test_accumulated_batches_have_the_gradient_of_their_mean(tmp_path: Path):
    gradients = []
    for accumulate in (1, 2):
        task = ToyTask()
        loop = Loop(task, replace(SHORT, accumulate=accumulate, clip_norm=1e9), tmp_path, execution=EXACT)
        loop._step(0.0)
        gradients.append(loop.optimizer.gradient.clone())
    both = []
    for slot in (0, 1):
        from srspace.training.processes import seed_batch

        task = ToyTask()
        task.prepare(0)
        seed_batch(torch.device("cpu"), SHORT.seed, 0, slot)
        loss = task.loss(*task.batch())
        both.append(torch.cat([g.flatten() for g in torch.autograd.grad(loss, list(task.network.parameters()))]))
    assert torch.allclose(gradients[0], both[0]) and not torch.allclose(both[0], both[1])
    assert torch.allclose(gradients[1], torch.stack(both).mean(0))


def test_mixed_precision_computes_the_loss_in_bfloat16(tmp_path: Path):
    types: list[torch.dtype] = []

    class Watched(ToyTask):
        def batch(self) -> tuple[torch.Tensor, ...]:
            lr, grey = super().batch()
            types.append(self.network.conv_first(lr).dtype)
            return lr, grey

        def loss(self, *batch: torch.Tensor) -> torch.Tensor:
            types.append(self.network.conv_first(batch[0]).dtype)
            return super().loss(*batch)

    for mixed in (False, True):
        loop = Loop(Watched(), replace(SHORT, iterations=1), tmp_path)
        assert not loop._mixed  # on a CPU
        loop._mixed = mixed
        loop.run()
    assert types == [torch.float32, torch.float32, torch.float32, torch.bfloat16]


def test_a_resumed_training_forgets_what_the_log_holds_of_later_iterations(tmp_path: Path):
    config = replace(SHORT, log_every=1, save_every=4)
    Loop(ToyTask(), replace(config, iterations=4), tmp_path, execution=EXACT).run()
    with (tmp_path / "log.jsonl").open("a") as file:
        file.write('{"iteration": 5, "loss": 1.0}\n{"iterat')  # killed
    loop = Loop(ToyTask(), config, tmp_path, execution=EXACT)
    assert loop.resume()
    loop.run()
    assert [record["iteration"] for record in log(tmp_path)] == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize(("processes", "accumulate", "batches"), [(2, 1, 4), (3, 1, 4), (8, 1, 8), (2, 3, 6)])
def test_an_update_takes_as_many_batches_as_before(
    tmp_path: Path, monkeypatch, processes: int, accumulate: int, batches: int
):
    """Where four processes trained before, unless they are more now, or that is changed."""
    loop = Loop(ToyTask(), replace(SHORT, iterations=1), tmp_path, execution=EXACT)
    loop.progress.batches = 4
    loop.run()
    loop = Loop(ToyTask(), replace(SHORT, accumulate=accumulate), tmp_path, execution=EXACT)
    with monkeypatch.context() as patched:
        patched.setattr("srspace.training.loop.world_size", lambda: processes)
        loop.resume()
    assert loop.progress.batches == batches
