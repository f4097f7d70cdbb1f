"""The pixelwise median of the candidates: like the mean, less swayed by outliers."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor, nn

from srspace.collapse.stack import StackSink
from srspace.modes import TileInputs

_STRIP_BYTES = 8 * 2**20
_DEVICE_STRIPS = 32


def make(count: int, inputs: TileInputs, network: nn.Module | None) -> StackSink:
    return StackSink(count, median_of)


def median_of(stack: Tensor) -> Tensor:
    """Exact pixelwise median of ``(N, 3, H, W)``: of an even number, the mean of the middle two.

    It is taken strip by strip, by a sorting network over whole planes.
    """
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
