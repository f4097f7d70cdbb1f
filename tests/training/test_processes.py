from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from srspace.training.loop import Loop
from srspace.training.processes import seed_batch
from tests.training import worker
from tests.training.conftest import EXACT

ROOT = Path(__file__).parents[2]
# One process starts them for all tests.
pytestmark = pytest.mark.xdist_group("processes")


@pytest.fixture(scope="module")
def processes(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, list[torch.Tensor]]]:
    """What each of two processes of one group saved."""
    out = tmp_path_factory.mktemp("two")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    common = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1"}
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.training.worker", str(out)],
            env={**os.environ, **common, "RANK": str(rank), "LOCAL_RANK": str(rank), "PYTHONPATH": str(ROOT)},
            cwd=ROOT, stderr=subprocess.PIPE, text=True,
        )
        for rank in range(2)
    ]  # fmt: skip
    for process in started:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors[-2000:]
    assert len((out / "run" / "log.jsonl").read_text().splitlines()) == 1  # the first process alone writes
    return [torch.load(out / f"{rank}.pt") for rank in range(2)]


def test_all_processes_begin_and_end_with_the_same_weights(processes):
    for moment in ("begun", "ended"):
        for a, b in zip(*(found[moment] for found in processes), strict=True):
            assert torch.equal(a, b)
    assert not torch.equal(processes[0]["begun"][0], processes[0]["ended"][0])


def test_their_gradient_is_that_of_one_process_with_the_doubled_batch(processes):
    task = worker.task()
    batches = []
    for slot in range(2):
        seed_batch(torch.device("cpu"), worker.CONFIG.seed, 0, slot)
        batches.append(task.batch())
    assert not torch.equal(batches[0][0], batches[1][0])
    loss = task.loss(*(torch.cat(parts) for parts in zip(*batches, strict=True)))
    alone = torch.cat([g.flatten() for g in torch.autograd.grad(loss, list(task.network.parameters()))])
    for found in processes:
        assert torch.allclose(found["gradient"], alone, rtol=1e-4, atol=1e-7)


def test_they_train_as_one_process_that_accumulates_two_batches(processes, tmp_path: Path):
    loop = Loop(worker.task(), replace(worker.CONFIG, accumulate=2), tmp_path, execution=EXACT)
    loop.run()
    for a, b in zip(processes[0]["ended"], loop.optimizer.parameters, strict=True):
        assert torch.allclose(a, b, atol=1e-5)


def test_torchrun_trains_from_the_command_line(photos: Path, tmp_path: Path, tiny: Path):
    config = tmp_path / "train.json"
    config.write_text(json.dumps({"iterations": 4, "batch_size": 1, "patch": 32, "log_every": 2, "time_limit": 100}))
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "srspace"]
    arguments = ["train", "fusion", "--weights", str(tiny / "x4"), "-n", "2", "--blocks", "1", "--channels", "8"]
    arguments += ["--patches", "2", "--refresh", "1"]
    where = ["--data", str(photos), "--tile", "64", "--device", "cpu", "--config", str(config)]
    done = subprocess.run(
        [*command, *arguments, *where, "--out", str(tmp_path / "run")],
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, timeout=200,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    log = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert [record["iteration"] for record in log] == [2, 4]
    assert json.loads((tmp_path / "run" / "options.json").read_text())["blocks"] == 1


def test_batches_depend_on_seed_iteration_and_slot():
    def drawn(*numbers: int) -> float:
        seed_batch(torch.device("cpu"), *numbers)
        return torch.rand(()).item()

    assert drawn(1, 2, 3) == drawn(1, 2, 3)
    assert len({drawn(1, 2, 3), drawn(2, 2, 3), drawn(1, 3, 3), drawn(1, 2, 4), drawn(3, 2, 1)}) == 5
