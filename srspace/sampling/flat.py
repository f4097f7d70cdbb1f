"""Flat parts of a picture stay flat: what texture they had, the input would show.

An LR image that is exactly the same all around a pixel leaves no room for texture there, but candidates have noise of
a few grey levels everywhere. In such places, which are common in graphics and where photographs are clipped, candidates
are replaced with the encoder's output.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

_REACH = 2
"""LR pixels all around that must have the same colour."""


def flat_parts(lr: Tensor, scale: int) -> Tensor | None:
    """Where images are flat.

    Args:
        lr: ``(B, 3, h, w)`` on the CPU.
        scale: the upscaling factor.

    Returns:
        ``(B, 1, scale * h, scale * w)`` from 0 (not) to 1 (flat), with soft edges; None where nothing is flat in any.
    """
    side = 2 * _REACH + 1
    padded = F.pad(lr, (_REACH,) * 4, mode="replicate")
    flat = F.max_pool2d(padded, side, 1) == -F.max_pool2d(-padded, side, 1)
    mask = flat.all(1, keepdim=True)
    if not mask.any():
        return None
    large = mask.float().repeat_interleave(scale, 2).repeat_interleave(scale, 3)
    return F.avg_pool2d(large, 2 * scale + 1, 1, scale, count_include_pad=False)
