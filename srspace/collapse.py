"""Collapsing candidates into one image: mean, median, fusion. Candidates are taken from an iterator, one at a time."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from srspace.devices import available_memory
from srspace.errors import UsageError
from srspace.models import FusionNet

_STRIP_BYTES = 256 * 2**20
_FUSION_TILE = 512


def mean(candidates: Iterable[Tensor]) -> Tensor:
    """Pixelwise mean of ``(3, H, W)`` candidates; memory does not grow with their number.

    Raises:
        ValueError: there is none.
    """
    result: Tensor | None = None
    for count, candidate in enumerate(candidates, start=1):
        if result is None:
            result = candidate.clone()
        else:
            result += (candidate - result) / count
    if result is None:
        raise ValueError("there is no candidate to average")
    return result


def median(candidates: Iterable[Tensor], count: int) -> Tensor:
    """Exact pixelwise median of ``count`` candidates ``(3, H, W)``: of an even number, the mean of the middle two.

    Candidates are kept in memory, or in a temporary file when they would take more than a quarter of it; the median
    itself is taken strip by strip.

    Raises:
        ValueError: the iterator does not hold ``count`` candidates.
    """
    with _gathered(candidates, count) as stack:
        height = stack.shape[2]
        rows = max(1, _STRIP_BYTES // max(1, stack[:, :, :1].nbytes))
        strips = [np.median(stack[:, :, top : top + rows], axis=0) for top in range(0, height, rows)]
        return torch.from_numpy(np.concatenate(strips, axis=1).astype(np.float32))


def fuse(network: FusionNet, candidates: Iterable[Tensor], count: int) -> Tensor:
    """Merge candidates with a fusion network; several full stacks are merged one by one and averaged.

    Args:
        network: on its device.
        candidates: ``(3, H, W)`` each.
        count: how many; a multiple of the network's stack.

    Raises:
        UsageError: ``count`` is not a multiple of the stack.
    """
    size = network.config.samples
    check_fusion_count(count, size)
    iterator = iter(candidates)
    return mean(_fuse_stack(network, iterator, size) for _ in range(count // size))


def check_fusion_count(count: int, size: int) -> None:
    """Raise unless ``count`` candidates fill whole stacks of ``size``.

    Raises:
        UsageError: they do not.
    """
    if count % size:
        raise UsageError(f"this fusion network takes stacks of {size} candidates: use -n {size} or a multiple of it.")


@torch.no_grad()
def _fuse_stack(network: FusionNet, candidates: Iterator[Tensor], size: int) -> Tensor:
    device, radius = network.head.weight.device, network.radius
    with _gathered((next(candidates) for _ in range(size)), size) as stack:
        _, _, height, width = stack.shape
        out = torch.empty(3, height, width)
        for top in range(0, height, _FUSION_TILE):
            for left in range(0, width, _FUSION_TILE):
                bottom, right = min(top + _FUSION_TILE, height), min(left + _FUSION_TILE, width)
                y, x = max(0, top - radius), max(0, left - radius)
                part = torch.from_numpy(stack[:, :, y : bottom + radius, x : right + radius].copy())
                fused = network(part[None].to(device))[0]
                out[:, top:bottom, left:right] = fused[:, top - y : bottom - y, left - x : right - x].cpu()
        return out.clamp_(0, 1)


@contextmanager
def _gathered(candidates: Iterable[Tensor], count: int) -> Iterator[np.ndarray]:
    iterator = iter(candidates)
    first = next(iterator, None)
    if first is None:
        raise ValueError("there is no candidate to gather")
    shape = (count, *first.shape)
    with tempfile.TemporaryFile() as file:
        stack: np.ndarray
        if 4 * int(np.prod(shape)) > available_memory(torch.device("cpu")) / 4:
            stack = np.memmap(file, np.float32, "w+", shape=shape)
        else:
            stack = np.empty(shape, np.float32)
        stack[0] = first.numpy()
        for i in range(1, count):
            candidate = next(iterator, None)
            if candidate is None:
                raise ValueError(f"expected {count} candidates, found {i}")
            stack[i] = candidate.numpy()
        yield stack
