"""One process of a group of two under torchrun, for test_processes.py.

It trains from the command line, where the second process is killed at the first attempt; then it trains in other ways,
and saves gradients and weights.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Hashable
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from srspace.cli.main import main as command_line
from srspace.config import AssessorConfig, DialConfig, FusionConfig
from srspace.data.pools import Batches, MixedPool, PatchPool
from srspace.data.render import render_tiles
from srspace.models import Assessor, DialFusion, SetFusionNet
from srspace.training import dial as dial_task
from srspace.training.assessor import AssessorTask
from srspace.training.candidate_pool import CandidateDrawing, FlowPictures
from srspace.training.candidates import CandidateSource
from srspace.training.dial import DialTask
from srspace.training.encoder import EncoderTask
from srspace.training.flow import FlowTask
from srspace.training.fusion import REFRESH_EVERY, FusionTask
from srspace.training.loop import Loop
from srspace.training.processes import process_group, rank, seed_batch
from srspace.training.settings import (
    AssessorTaskConfig,
    DialTaskConfig,
    EncoderTaskConfig,
    FlowTaskConfig,
    FusionTaskConfig,
)
from srspace.training.task import Task
from tests.networks import small_flow
from tests.training.conftest import EXACT, SHORT, tiny_encoder

CONFIG = replace(SHORT, iterations=4, clip_norm=1e9, log_every=4, validate_every=4, save_every=4)
LONG = replace(CONFIG, iterations=50, log_every=1, validate_every=50, save_every=50)
HALF = replace(CONFIG, schedule="constant")
EVERY = replace(CONFIG, iterations=3)
KILLED = {"iterations": 9, "batch_size": 1, "patch": 32, "log_every": 1, "save_every": 3, "validate_every": 9}
DEADLY = 5


def pool(side: int = 48) -> PatchPool:
    return PatchPool.of(render_tiles(4, side, seed=1), 4)


def task(seed: int = 0, batch_size: int = 2) -> EncoderTask:
    """A training of a tiny encoder; every process begins with weights of its own."""
    return EncoderTask(tiny_encoder(seed), Batches(pool(), batch_size, 32), EncoderTaskConfig())


def flow(seed: int) -> FlowTask:
    return FlowTask(small_flow(seed=seed), Batches(pool(), 2, 32), FlowTaskConfig())


class Refreshed(FusionTask):
    """Replaces patches in the second of three iterations."""

    def prepare(self, iteration: int) -> Hashable:
        return super().prepare(iteration * REFRESH_EVERY)


def fusion(seed: int) -> FusionTask:
    torch.manual_seed(seed)
    network = SetFusionNet(FusionConfig(samples=None, channels=8, blocks=1, embedding=4))
    drawing = CandidateDrawing((FlowPictures(CandidateSource(small_flow()), pool()),), 3, 32)
    return Refreshed(network, drawing, 2, FusionTaskConfig(patches=18, refresh=17))  # in two pieces


class Critic(nn.Module):
    """Instead of LPIPS, which takes a second to load."""

    def __init__(self, net: str) -> None:
        super().__init__()
        self.net = net

    def loss(self, sr: Tensor, hr: Tensor) -> Tensor:
        return (sr - hr).abs().mean((1, 2, 3))


def dial(seed: int) -> DialTask:
    torch.manual_seed(seed)
    network = DialFusion(DialConfig(features=24, channels=8, blocks=1, embedding=4))
    with patch.object(dial_task, "Lpips", Critic):
        return DialTask(network, CandidateSource(small_flow()), Batches(pool(64), 2, 64), DialTaskConfig(samples=2))


def assessor(seed: int) -> AssessorTask:
    torch.manual_seed(seed)
    network = Assessor(AssessorConfig(width=4))
    return AssessorTask(network, Batches(MixedPool.of(pool(128)), 4, 128), AssessorTaskConfig(examples=34))


TASKS: dict[str, Callable[[int], Task]] = {"flow": flow, "fusion": fusion, "dial": dial, "assessor": assessor}


def ended(loop: Loop) -> list[Tensor]:
    """All that a training has set, and the loss that it told last."""
    record = loop.run()
    values = [*loop.optimizer.parameters, *loop.average.values, *loop.task.network.buffers()]
    return [torch.tensor(record["loss"]), *(value.detach().clone() for value in values)]


def torchs_own_gradient() -> Tensor:
    """The gradient of DistributedDataParallel, which exchanges a bucket at a time while it computes."""
    own = task(seed=rank())
    network = own.network
    own.network = DistributedDataParallel(network, bucket_cap_mb=0.001)  # type: ignore[assignment]
    seed_batch(torch.device("cpu"), CONFIG.seed, 0, rank())
    own.loss(*own.batch()).backward()
    return torch.cat([p.grad.flatten() for p in network.parameters() if p.grad is not None])


def from_command_line(out: Path, photos: Path, flow: Path) -> None:
    """Train; the second process is killed once, between a state that is saved and the next."""
    config = out / "train.json"
    config.write_text(json.dumps(KILLED))
    step = Loop._step

    def deadly(self: Loop, rate: float) -> Tensor:
        if self.progress.iteration == DEADLY and rank() == 1 and os.environ["TORCHELASTIC_RESTART_COUNT"] == "0":
            os.kill(os.getpid(), signal.SIGKILL)
        return step(self, rate)

    Loop._step = deadly  # type: ignore[method-assign]
    arguments = ["train", "fusion", "--weights", str(flow), "--data", str(photos), "--out", str(out / "killed")]
    arguments += ["-n", "2", "--blocks", "1", "--channels", "8", "--patches", "2", "--refresh", "1", "--tile", "64"]
    # Even a run that is to begin again goes on after that.
    code = command_line([*arguments, "--device", "cpu", "--config", str(config), "--restart"])
    if code:
        sys.exit(code)
    Loop._step = step  # type: ignore[method-assign]


def main(out: Path, photos: Path, flow: Path) -> None:
    torch.set_num_threads(1)
    from_command_line(out, photos, flow)
    with process_group(torch.device("cpu")):
        found: dict[str, object] = {"torch": torchs_own_gradient()}
        loop = Loop(task(seed=rank()), CONFIG, out / "run", execution=EXACT)
        found["begun"] = [p.detach().clone() for p in loop.optimizer.parameters]
        loop._step(0.0)
        found["gradient"] = loop.optimizer.gradient.clone()
        found["long"] = ended(Loop(task(seed=rank()), LONG, out / "long", execution=EXACT))
        for name, make in TASKS.items():
            found[name] = ended(Loop(make(rank()), EVERY, out / name, execution=EXACT))
        # The second process runs on another host, which does not see the folder.
        loop = Loop(task(seed=rank()), HALF, out / ("half" if rank() == 0 else "elsewhere"), execution=EXACT)
        found["resumed"] = loop.resume()
        found["half"] = ended(loop)
        torch.save(found, out / f"{rank()}.pt")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
