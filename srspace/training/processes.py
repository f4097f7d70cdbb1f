"""Training on several GPUs of one host: ``torchrun --nproc-per-node 2 -m srspace train ...``."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
import torch.distributed as dist
from torch import nn


@contextmanager
def process_group(device: torch.device) -> Iterator[torch.device]:
    """Join the processes that ``torchrun`` started, if it did; yields this process's own device.

    Args:
        device: the kind of device to train on; with a GPU, process k takes GPU k.
    """
    if "LOCAL_RANK" not in os.environ:
        yield device
        return
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield device
    finally:
        dist.destroy_process_group()


def rank() -> int:
    """This process's number in its group; 0 without one."""
    return dist.get_rank() if _grouped() else 0


def world_size() -> int:
    """Processes in the group; 1 without one."""
    return dist.get_world_size() if _grouped() else 1


def share_weights(network: nn.Module) -> None:
    """Give every process the first one's weights."""
    if world_size() == 1:
        return
    for tensor in network.state_dict().values():
        packed = tensor.detach().contiguous()
        dist.broadcast(packed, 0)
        tensor.detach().copy_(packed)


def first_clock(seconds: float, device: torch.device) -> float:
    """The first process's ``seconds``, so that all stop after the same step."""
    if world_size() == 1:
        return seconds
    clock = torch.tensor(seconds, device=device, dtype=torch.float64)
    dist.broadcast(clock, 0)
    return clock.item()


def seed_batch(device: torch.device, seed: int, iteration: int, slot: int) -> None:
    """Seed torch's generators for one batch.

    What a batch holds then depends on the seed, the iteration and the slot alone: an interrupted training goes on
    with the batches that it would have seen, and two processes draw what one draws with two accumulated batches.

    Args:
        device: where random numbers are drawn, beside the CPU.
        seed: of the training.
        iteration: number of the update, from 0.
        slot: number of the batch within the update, over all processes.
    """
    value = int(np.random.SeedSequence((seed, iteration, slot)).generate_state(1, np.uint64)[0])
    torch.default_generator.manual_seed(value)
    if device.type == "cuda":
        index = torch.cuda.current_device() if device.index is None else device.index
        torch.cuda.default_generators[index].manual_seed(value)


def _grouped() -> bool:
    return dist.is_available() and dist.is_initialized()
