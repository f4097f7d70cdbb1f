from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from srspace.errors import ResourceError
from srspace.training.encoder import EncoderTask
from srspace.training.loop import Loop
from srspace.training.processes import divided, process_group, seed_batch
from tests.processes import ROOT, WITH_THIS_TREE
from tests.training import worker
from tests.training.conftest import EXACT

CPU = torch.device("cpu")
# One process starts them for all tests.
pytestmark = pytest.mark.xdist_group("processes")


class Doubled(EncoderTask):
    """One process whose batch is those of two."""

    def prepare(self, iteration: int) -> None:
        self.iteration = iteration

    def batch(self) -> tuple[torch.Tensor, ...]:
        batches = []
        for slot in range(2):
            seed_batch(CPU, worker.CONFIG.seed, self.iteration, slot)
            batches.append(super().batch())
        assert not torch.equal(batches[0][0], batches[1][0])
        return tuple(torch.cat(parts) for parts in zip(*batches, strict=True))


def doubled() -> Doubled:
    one = worker.task()
    return Doubled(one.network, one.batches, one.config)


@pytest.fixture(scope="module")
def group(photos: Path, tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a group of two."""
    out = tmp_path_factory.mktemp("two")
    Loop(worker.task(), replace(worker.HALF, iterations=2, accumulate=2), out / "half", execution=EXACT).run()
    done = subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"),
            *("--max-restarts", "1", "--monitor-interval", "1"),
            *("-m", "tests.training.worker", str(out), str(photos), str(tiny / "x4")),
        ],
        env={**os.environ, "OMP_NUM_THREADS": "1", **WITH_THIS_TREE}, cwd=ROOT,
        capture_output=True, text=True, timeout=200,
    )  # fmt: skip
    (out / "told").write_text(done.stderr)
    assert done.returncode == 0, done.stderr[-4000:]
    return out


@pytest.fixture(scope="module")
def processes(group: Path) -> list[dict[str, Any]]:
    """What each of the two saved."""
    return [torch.load(group / f"{rank}.pt") for rank in range(2)]


def alone(make: Any, config: Any, out: Path) -> list[torch.Tensor]:
    """What one process with two accumulated batches ends with."""
    return worker.ended(Loop(make, replace(config, accumulate=2), out, execution=EXACT))


def same(a: list[torch.Tensor], b: list[torch.Tensor], tolerance: float = 0.0) -> bool:
    return all(torch.allclose(x, y, rtol=0, atol=tolerance) for x, y in zip(a, b, strict=True))


def test_all_processes_begin_with_the_same_weights(processes):
    assert same(*(found["begun"] for found in processes))


def test_their_gradient_is_that_of_one_process_with_the_doubled_batch(processes):
    task = doubled()
    task.prepare(0)
    loss = task.loss(*task.batch())
    alone = torch.cat([g.flatten() for g in torch.autograd.grad(loss, list(task.network.parameters()))])
    for found in processes:
        assert torch.allclose(found["gradient"], alone, rtol=1e-4, atol=1e-7)


def test_their_gradient_is_that_of_distributed_data_parallel(processes):
    for found in processes:
        assert found["torch"].abs().max() > 0
        assert torch.allclose(found["gradient"], found["torch"], rtol=1e-5, atol=1e-8)


def test_after_50_iterations_the_loss_is_that_of_one_process_with_the_doubled_batch(processes, group, tmp_path):
    Loop(doubled(), worker.LONG, tmp_path, execution=EXACT).run()
    one, two = (
        [json.loads(line)["loss"] for line in (folder / "log.jsonl").read_text().splitlines()]
        for folder in (tmp_path, group / "long")
    )
    assert len(one) == len(two) == 50 and one[-1] < 0.9 * one[0]
    assert one == pytest.approx(two, abs=1e-4)


@pytest.mark.parametrize("name", worker.TASKS)
def test_every_training_ends_as_in_one_process_with_accumulated_batches(processes, tmp_path: Path, name):
    first, second = (found[name] for found in processes)
    assert same(first, second)
    assert same(first, alone(worker.TASKS[name](0), worker.EVERY, tmp_path), 2e-5)


def test_the_first_process_alone_writes(group: Path):
    assert len((group / "long" / "log.jsonl").read_text().splitlines()) == 50
    assert (group / "half" / "model.safetensors").exists() and not (group / "elsewhere").exists()


def test_two_processes_go_on_where_one_stopped(processes, tmp_path: Path):
    assert all(found["resumed"] for found in processes)
    for found in processes:
        assert same(found["half"][1:], alone(worker.task(), worker.HALF, tmp_path)[1:], 1e-5)


def test_one_process_goes_on_where_two_stopped(group: Path, tmp_path: Path):
    config = replace(worker.LONG, iterations=52)
    loop = Loop(worker.task(seed=9), config, group / "long", execution=EXACT)
    assert loop.resume() and loop.progress.batches == 2
    assert worker.ended(loop)[0].isfinite()
    resumed = Loop(worker.task(seed=9), replace(config, accumulate=3), group / "long", execution=EXACT)
    assert resumed.resume() and resumed.progress.batches == 3  # that was asked for


def test_after_a_killed_process_training_goes_on_by_itself(group: Path):
    log = [json.loads(line)["iteration"] for line in (group / "killed" / "log.jsonl").read_text().splitlines()]
    assert log == list(range(1, worker.KILLED["iterations"] + 1))
    told = (group / "told").read_text()
    # From the last state, and by one process alone.
    assert [told.count(f"iteration {i} ") for i in (1, 3, 4, 5, 6, 9)] == [1, 1, 2, 2, 1, 1]
    assert told.count("saved") == 1 and told.count("another process of the training has gone") == 1
    assert json.loads((group / "killed" / "options.json").read_text())["blocks"] == 1


def test_a_process_without_a_gpu_is_told(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("LOCAL_RANK", "2")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with (
        pytest.raises(ResourceError, match="process 3 of this host has no GPU to itself: there are 2"),
        process_group(torch.device("cuda")),
    ):
        pass


def test_pieces_of_work_have_random_numbers_of_their_own():
    def drawn(count: int) -> list[float]:
        torch.manual_seed(5)
        made = [piece[0].item() for piece in divided(count, lambda k: (torch.rand(()) + k,), CPU)]
        return [*made, torch.rand(()).item()]

    three, four = drawn(3), drawn(4)
    assert three[:3] == four[:3] and three == drawn(3)
    assert len({value % 1 for value in four}) == 5


def test_batches_depend_on_seed_iteration_and_slot():
    def drawn(*numbers: int) -> float:
        seed_batch(CPU, *numbers)
        return torch.rand(()).item()

    assert drawn(1, 2, 3) == drawn(1, 2, 3)
    assert len({drawn(1, 2, 3), drawn(2, 2, 3), drawn(1, 3, 3), drawn(1, 2, 4), drawn(3, 2, 1)}) == 5
