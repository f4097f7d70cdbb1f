"""Training in several processes: ``torchrun --nproc-per-node 2 -m srspace train ...``."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from uuid import uuid4

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn

from srspace.errors import ResourceError, TrainingError

# The first process validates alone while the others wait. A process that dies is noticed by torchrun, long before.
_PATIENCE = timedelta(hours=2)
_POLL = 0.02


@contextmanager
def process_group(device: torch.device) -> Iterator[torch.device]:
    """Join the processes that ``torchrun`` started, if it did; yields this process's own device.

    Args:
        device: the kind of device to train on; with GPUs, process k of a host takes GPU k.

    Raises:
        ResourceError: the host has more processes than GPUs.
        TrainingError: another process has gone.
    """
    if "LOCAL_RANK" not in os.environ:
        yield device
        return
    if device.type == "cuda":
        number, gpus = int(os.environ["LOCAL_RANK"]), torch.cuda.device_count()
        if number >= gpus:
            raise ResourceError(f"process {number + 1} of this host has no GPU to itself: there are {gpus}.")
        device = torch.device("cuda", number)
        torch.cuda.set_device(device)
    store, number, size = next(dist.rendezvous("env://", timeout=_PATIENCE))  # type: ignore[attr-defined]
    own = _unused(store, number, size)
    backend = "nccl" if device.type == "cuda" else "gloo"
    try:
        dist.init_process_group(backend, store=own, rank=number, world_size=size, timeout=_PATIENCE)
        yield device
    except RuntimeError as error:
        if isinstance(error, dist.DistError) or "gloo" in str(error):
            raise TrainingError("another process of the training has gone.") from error
        raise
    finally:
        if _grouped():
            dist.destroy_process_group()


def rank() -> int:
    """This process's number in its group; 0 without one."""
    return dist.get_rank() if _grouped() else 0


def world_size() -> int:
    """Processes in the group; 1 without one."""
    return dist.get_world_size() if _grouped() else 1


def restarted(device: torch.device) -> bool:
    """Whether ``torchrun`` started the group again, because a process had failed.

    Args:
        device: where a number can be exchanged.
    """
    count = int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"))  # every host counts its own failures
    return bool(add_up(torch.tensor(count, device=device)).item())


def share_weights(network: nn.Module) -> None:
    """Give every process the first one's weights and buffers."""
    if world_size() == 1:
        return
    for tensor in network.state_dict().values():
        packed = tensor.detach().contiguous()
        dist.broadcast(packed, 0)
        tensor.detach().copy_(packed)


def add_up(tensor: Tensor) -> Tensor:
    """The sum over all processes, in place."""
    if world_size() > 1:
        dist.all_reduce(tensor)
    return tensor


def of_first(value: bytes | None) -> bytes | None:
    """What the first process has."""
    if world_size() == 1:
        return value
    held = [value]
    dist.broadcast_object_list(held, 0)
    return held[0]


def divided(count: int, make: Callable[[int], tuple[Tensor, ...]], device: torch.device) -> list[tuple[Tensor, ...]]:
    """Pieces of work, each done by one process and handed to all.

    A piece has random numbers of its own, drawn from the generator's state, which is the same in all processes. So
    how many processes there are changes nothing in it.

    Args:
        count: pieces.
        make: does piece k, given k; its tensors are on ``device``.
        device: where random numbers are drawn.

    Returns:
        What ``make`` gave, in order.
    """
    seed, size = int(torch.randint(2**62, ())), world_size()
    made: dict[int, tuple[Tensor, ...]] = {}
    for k in range(rank(), count, size):
        seed_batch(device, seed, 0, k)
        made[k] = make(k)
    seed_batch(device, seed, 0, count)
    if size == 1:
        return [made[k] for k in range(count)]
    kinds = [[(part.shape, part.dtype) for part in parts] for parts in made.values()]
    gathered: list[list[list[tuple[torch.Size, torch.dtype]]]] = [[] for _ in range(size)]
    dist.all_gather_object(gathered, kinds)
    pieces = []
    for k in range(count):
        owner, turn = k % size, k // size
        parts = (
            tuple(part.contiguous() for part in made[k])
            if k in made
            else tuple(torch.empty(shape, dtype=dtype, device=device) for shape, dtype in gathered[owner][turn])
        )
        for part in parts:
            dist.broadcast(part, owner)
        pieces.append(parts)
    return pieces


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


def _unused(store: Any, number: int, size: int) -> Any:
    """A part of the store that no earlier attempt has written to.

    ``torchrun`` keeps one store over all its attempts, and a group that finds the addresses of killed processes there
    waits for them in vain (https://github.com/pytorch/pytorch/issues/135712). Hosts count attempts differently, so
    the first process names a part, and tells every other one that has knocked.
    """
    own = uuid4().hex
    if number > 0:
        store.set(f"srspace/knock/{number}", own)
        name = store.get(f"srspace/answer/{own}").decode()
        store.add(f"srspace/joined/{name}", 1)
        return dist.PrefixStore(name, store)  # type: ignore[attr-defined]
    while store.add(f"srspace/joined/{own}", 0) < size - 1:
        for knock in (f"srspace/knock/{other}" for other in range(1, size)):
            if store.check([knock]):  # by a process of this attempt, or of an earlier one, which does not matter
                store.set(f"srspace/answer/{store.get(knock).decode()}", own)
        time.sleep(_POLL)
    return dist.PrefixStore(own, store)  # type: ignore[attr-defined]


def _grouped() -> bool:
    return dist.is_available() and dist.is_initialized()
