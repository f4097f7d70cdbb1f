"""What trainings minimise. Every distance is one number for each image, so that a task can weigh images."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from srspace.metrics import Lpips
from srspace.training.settings import Regression

# A backbone looks at every 4th or 2nd pixel, and the flow's squeezes leave a grid of the same pitch: where the two are
# always aligned, a network learns to hide a weave between the samples (Kettunen et al., 2019, average over shifts).
_PHASES = 8
# Patches were sampled with zero padding at their borders, which whole pictures do not have there.
_MARGIN = 8
SMALLEST = 2 * _MARGIN + _PHASES + 32
"""Side of the smallest patch whose :func:`inner` part :func:`perceptual` takes, in HR pixels."""


def regression(sr: Tensor, hr: Tensor, kind: Regression) -> Tensor:
    """Mean absolute (``"l1"``) or mean squared (``"l2"``) difference of each image.

    L1 gets further from a start; L2 at the end is what PSNR measures.

    Args:
        sr: ``(B, 3, H, W)`` in [0, 1].
        hr: the same shape.
        kind: which of the two.

    Returns:
        ``(B,)``.

    Raises:
        ValueError: the kind is neither.
    """
    if kind not in ("l1", "l2"):
        raise ValueError(f"a regression loss is l1 or l2, not {kind!r}")
    difference = sr - hr
    return (difference.abs() if kind == "l1" else difference.square()).flatten(1).mean(1)


def bits_per_pixel(log_likelihood: Tensor, hr: Tensor) -> Tensor:
    """Negative log-likelihood in bits per pixel (Lugmayr et al., 2020, arXiv 2006.14200), not divided by channels.

    Args:
        log_likelihood: ``(B,)`` in nats, of whole images.
        hr: the images, ``(B, 3, H, W)``.

    Returns:
        ``(B,)``.
    """
    return -log_likelihood / (math.log(2) * hr.shape[2] * hr.shape[3])


def perceptual(sr: Tensor, hr: Tensor, critics: Sequence[Lpips]) -> Tensor:
    """LPIPS (Zhang et al., 2018, arXiv 1801.03924) averaged over backbones, on a grid at a random place.

    Runs in float32, whatever mixed precision is on.

    Args:
        sr: ``(B, 3, H, W)``, both sides at least 40; gradients flow into it.
        hr: the same shape, in [0, 1].
        critics: the backbones. Each overlooks patterns of its own.

    Returns:
        ``(B,)``.
    """
    # On the device throughout, so that a step with this in it can be replayed as a CUDA graph.
    top, left = torch.randint(_PHASES, (2, 1), device=sr.device)
    rows = top + torch.arange(sr.shape[-2] - _PHASES, device=sr.device)
    columns = left + torch.arange(sr.shape[-1] - _PHASES, device=sr.device)
    sr, hr = (x.float().index_select(-2, rows).index_select(-1, columns) for x in (sr, hr))
    with torch.autocast(sr.device.type, enabled=False):
        return torch.stack([critic.loss(sr, hr) for critic in critics]).mean(0)


def error_of_mean(one: Tensor, other: Tensor, hr: Tensor) -> Tensor:
    """Squared error of the mean of infinitely many candidates, without bias, from two independent ones of each image.

    It is the product of their errors: what is random in them cancels out, so the term says nothing about how far
    candidates lie apart.

    Args:
        one: a candidate of each image, ``(B, 3, H, W)``.
        other: another one.
        hr: the originals.

    Returns:
        ``(B,)``.
    """
    return ((one - hr) * (other - hr)).flatten(1).mean(1)


def inner(image: Tensor) -> Tensor:
    """``(..., H, W)`` without the border that zero padding reached."""
    return image[..., _MARGIN:-_MARGIN, _MARGIN:-_MARGIN]
