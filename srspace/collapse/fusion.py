"""A small network merges the candidates.

Korkmaz, Tekalp, Dogan, Erdem, Erdem: "Perception-distortion trade-off in the SR space spanned by flow models", ICIP
2022, arXiv 2209.08564.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from srspace.collapse.stack import StackSink
from srspace.models import Fusion
from srspace.modes import TileInputs
from srspace.sampling import plan_tiles

_TILE = 512  # pixels of the result


def make(count: int, inputs: TileInputs, network: nn.Module | None) -> StackSink:
    if not isinstance(network, Fusion):
        raise TypeError(f"a fusion network is needed, not {type(network).__name__}")
    return StackSink(count, partial(fuse, network))


@torch.no_grad()
def fuse(network: Fusion, stack: Tensor) -> Tensor:
    """Merge ``(N, 3, H, W)`` in overlapping tiles; several stacks of a network for stacks are merged and averaged.

    Args:
        network: the network; the work is done on its device.
        stack: candidates in [0, 1].

    Returns:
        ``(3, H, W)`` in [0, 1] on the stack's device.

    Raises:
        StackSizeError: N is not a multiple of the network's stack.
    """
    count, _, height, width = stack.shape
    network.check(count)
    size = network.config.samples or count
    device, radius = next(network.parameters()).device, network.radius
    out = stack.new_empty(3, height, width)
    for tile in plan_tiles(height, width, _TILE, radius):
        part = _continued(tile.cut(stack).to(device), tile.lacking(radius))
        fused = _mean(network(part[k : k + size][None])[0].clamp_(0, 1) for k in range(0, count, size))
        out[:, tile.rows, tile.columns] = fused[:, radius : part.shape[2] - radius, radius : part.shape[3] - radius]
    return out


def _continued(part: Tensor, around: tuple[int, int, int, int]) -> Tensor:
    """Go on past the picture's border by mirroring: fusion networks were trained away from borders of zeros."""
    mirrored = max(around) < min(part.shape[-2:])
    return F.pad(part, around, mode="reflect" if mirrored else "replicate")


def _mean(images: Iterator[Tensor]) -> Tensor:
    mean = next(images)
    for count, image in enumerate(images, start=2):
        mean += (image - mean) / count
    return mean
