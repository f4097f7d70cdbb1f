"""One process of a group of two, for test_processes.py: trains, and saves its first gradient and its weights."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import torch

from srspace.data.pools import Batches, PatchPool
from srspace.data.render import render_tiles
from srspace.training.encoder import EncoderTask
from srspace.training.loop import Loop
from srspace.training.processes import process_group, rank
from srspace.training.settings import EncoderTaskConfig
from tests.training.conftest import EXACT, SHORT, tiny_encoder

CONFIG = replace(SHORT, iterations=4, clip_norm=1e9, log_every=4, validate_every=4, save_every=4)


def task(seed: int = 0, batch_size: int = 2) -> EncoderTask:
    """A training of a tiny encoder; every process begins with weights of its own."""
    pool = PatchPool.of(render_tiles(4, 48, seed=1), 4)
    return EncoderTask(tiny_encoder(seed), Batches(pool, batch_size, 32), EncoderTaskConfig())


def main(out: Path) -> None:
    torch.set_num_threads(1)
    with process_group(torch.device("cpu")):
        loop = Loop(task(seed=rank()), CONFIG, out / "run", execution=EXACT)
        begun = [p.detach().clone() for p in loop.optimizer.parameters]
        loop._step(0.0)
        gradient = loop.optimizer.gradient.clone()
        loop = Loop(task(seed=rank()), CONFIG, out / "run", execution=EXACT)
        loop.run()
        ended = [p.detach().clone() for p in loop.optimizer.parameters]
        torch.save({"begun": begun, "gradient": gradient, "ended": ended}, out / f"{rank()}.pt")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
