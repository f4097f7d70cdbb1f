"""Collapsing candidates into one image: mean, median, fusion.

Each comes as a function over an iterator of whole pictures and as a sink that the sampler fills with one tile's
candidates on its device.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from srspace.devices import available_memory
from srspace.errors import StackSizeError
from srspace.models import Fusion

_STRIP_BYTES = 8 * 2**20
_DEVICE_STRIPS = 32
_FUSION_TILE = 512


class MeanSink:
    """Streams the mean of ``count`` candidates: memory does not grow with their number."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._sum: Tensor | None = None

    def add(self, indices: Sequence[int], images: Tensor) -> None:
        part = images.sum(0)
        self._sum = part if self._sum is None else self._sum.add_(part)

    def result(self) -> Tensor:
        if self._sum is None:
            raise ValueError("there is no candidate to average")
        return self._sum.div_(self.count)


class StackSink:
    """Keeps all candidates of a tile and merges them at the end.

    Args:
        count: how many.
        merge: from ``(N, 3, H, W)`` to ``(3, H, W)``.
    """

    def __init__(self, count: int, merge: Callable[[Tensor], Tensor]) -> None:
        self.count, self.merge = count, merge
        self._stack: Tensor | None = None

    def add(self, indices: Sequence[int], images: Tensor) -> None:
        if self._stack is None:
            self._stack = images.new_empty(self.count, *images.shape[1:])
        self._stack[indices[0] : indices[-1] + 1] = images

    def result(self) -> Tensor:
        if self._stack is None:
            raise ValueError("there is no candidate to merge")
        return self.merge(self._stack)


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
        return median_of(torch.from_numpy(stack))


def median_of(stack: Tensor) -> Tensor:
    """Exact pixelwise median of ``(N, 3, H, W)``, strip by strip, by a sorting network over whole planes."""
    count, channels, height, width = stack.shape
    strip = _STRIP_BYTES * (_DEVICE_STRIPS if stack.device.type != "cpu" else 1)
    rows = max(1, strip // max(1, stack[:, :, :1].nbytes))
    low, high = (count - 1) // 2, count // 2
    network = _median_network(count)
    out = stack.new_empty(channels, height, width)
    for top in range(0, height, rows):
        planes = list(stack[:, :, top : top + rows].unbind(0))
        for i, j in network:
            planes[i], planes[j] = torch.minimum(planes[i], planes[j]), torch.maximum(planes[i], planes[j])
        out[:, top : top + rows] = planes[low] if low == high else (planes[low] + planes[high]) / 2
    return out


@cache
def _median_network(count: int) -> list[tuple[int, int]]:
    """Comparators of Batcher's merge exchange (Knuth 5.2.2, algorithm M) that the middle depends on."""
    comparators = []
    top = 1 << max(0, (count - 1).bit_length() - 1)
    p = top if count > 1 else 0
    while p > 0:
        q, r, d = top, 0, p
        while d > 0:
            comparators += [(i, i + d) for i in range(count - d) if i & p == r]
            d, q, r = q - p, q >> 1, p
        p >>= 1
    needed, kept = {(count - 1) // 2, count // 2}, []
    for pair in reversed(comparators):
        if needed & set(pair):
            needed |= set(pair)
            kept.append(pair)
    return kept[::-1]


def fuse(network: Fusion, candidates: Iterable[Tensor], count: int) -> Tensor:
    """Merge candidates with a fusion network.

    Args:
        network: on its device.
        candidates: ``(3, H, W)`` each.
        count: how many; a multiple of the network's stack when that has a fixed size: then full stacks are merged
            one by one and averaged.

    Raises:
        UsageError: ``count`` is not a multiple of the stack.
    """
    check_fusion_count(count, network.config.samples)
    size = network.config.samples or count
    iterator = iter(candidates)

    def stacks() -> Iterator[Tensor]:
        for _ in range(count // size):
            with _gathered(iterator, size) as stack:
                yield fuse_stack(network, torch.from_numpy(stack))

    return mean(stacks())


@torch.no_grad()
def fuse_stack(network: Fusion, stack: Tensor) -> Tensor:
    """Merge ``(N, 3, H, W)`` in overlapping tiles, on the network's device; ``(3, H, W)`` in [0, 1] on the stack's.

    Raises:
        UsageError: N is not a multiple of the network's stack.
    """
    count, _, height, width = stack.shape
    check_fusion_count(count, network.config.samples)
    size = network.config.samples or count
    device, radius = next(network.parameters()).device, network.radius
    out = stack.new_empty(3, height, width)
    for top in range(0, height, _FUSION_TILE):
        for left in range(0, width, _FUSION_TILE):
            bottom, right = min(top + _FUSION_TILE, height), min(left + _FUSION_TILE, width)
            y, x = max(0, top - radius), max(0, left - radius)
            below, beside = min(bottom + radius, height), min(right + radius, width)
            part = stack[:, :, y:below, x:beside].to(device)
            around = (radius - (left - x), radius - (beside - right), radius - (top - y), radius - (below - bottom))
            part = _continued(part, around)
            fused = mean(network(part[k : k + size][None])[0].clamp_(0, 1) for k in range(0, count, size))
            out[:, top:bottom, left:right] = fused[:, radius : radius + bottom - top, radius : radius + right - left]
    return out


def _continued(part: Tensor, around: tuple[int, int, int, int]) -> Tensor:
    """Go on past the picture's border by mirroring: fusion networks were trained away from borders of zeros."""
    mirrored = max(around) < min(part.shape[-2:])
    return F.pad(part, around, mode="reflect" if mirrored else "replicate")


def check_fusion_count(count: int, size: int | None) -> None:
    """Raise unless ``count`` candidates fill whole stacks of ``size`` (None: any number does).

    Raises:
        UsageError: they do not.
    """
    if size is not None and count % size:
        raise StackSizeError(size)


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
