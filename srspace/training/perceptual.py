"""The perceptual distance that trainings minimise."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from srspace.metrics import Lpips

# A backbone looks at every 4th or 2nd pixel, and the flow's squeezes leave a grid of the same pitch: where the two are
# always aligned, a network learns to hide a weave between the samples (Kettunen et al., 2019, average over shifts).
_PHASES = 8
# Patches were sampled with zero padding at their borders, which whole pictures do not have there.
_MARGIN = 8
SMALLEST = 2 * _MARGIN + _PHASES + 32


def inner(image: Tensor) -> Tensor:
    """``(..., H, W)`` without the border that zero padding reached."""
    return image[..., _MARGIN:-_MARGIN, _MARGIN:-_MARGIN]


def perceptual_loss(sr: Tensor, hr: Tensor, critics: Sequence[Lpips]) -> Tensor:
    """LPIPS averaged over images and backbones, on a grid at a random place.

    Args:
        sr: ``(B, 3, H, W)``, both sides at least 40; gradients flow into it.
        hr: the same shape, in [0, 1].
        critics: the backbones. Each overlooks patterns of its own.

    Returns:
        A scalar.
    """
    # On the device throughout, so that a step with this in it can be replayed as a CUDA graph.
    top, left = torch.randint(_PHASES, (2, 1), device=sr.device)
    rows = top + torch.arange(sr.shape[-2] - _PHASES, device=sr.device)
    columns = left + torch.arange(sr.shape[-1] - _PHASES, device=sr.device)
    sr, hr = (x.index_select(-2, rows).index_select(-1, columns) for x in (sr, hr))
    return torch.stack([critic.loss(sr, hr).mean() for critic in critics]).mean()
