"""The unshared path: what the sampler computes, the long way round, as an oracle for tests and a rival for timings."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from srspace.models import SRFlow


def naive_decode(model: SRFlow, lr: Tensor, latents: list[Tensor]) -> Tensor:
    """The unshared path: everything anew for every candidate, inverses one by one, as the algebra is published.

    It shares no code with the fast path beyond the modules' weights, so that it can stand as the oracle in the tests
    and as the opponent in the benchmark; the product never takes it.

    Args:
        model: the flow, its subnets in any precision.
        lr: ``(1, 3, h, w)``.
        latents: one ``(1, C, H, W)`` float32 tensor per level, splits first.

    Returns:
        ``(1, 3, H, W)`` float32, unclamped.
    """
    dtype = model.encoder.dtype
    features = model.features(lr)
    maps = [*reversed(features.upsampled), features.last]
    y = latents[-1]
    for i in reversed(range(len(model.flow.levels))):
        level: Any = model.flow.levels[i]
        stacked = F.interpolate(features.stacked, size=maps[i].shape[-2:], mode="nearest")
        condition = torch.cat((maps[i], stacked), 1)
        if level.split is not None:
            raw = level.split.conv(y.to(dtype))
            y = torch.cat((y, latents[i] * raw[:, 1::2].exp() + raw[:, 0::2]), 1)
        for step in reversed(level.steps):
            coupling = step.coupling
            kept, changed = y[:, : coupling.kept], y[:, coupling.kept :]
            raw = coupling.f_affine(torch.cat((kept.to(dtype), condition), 1))
            changed = changed / (torch.sigmoid(raw[:, 1::2] + 2) + coupling.eps) - raw[:, 0::2]
            raw = coupling.f_features(condition)
            y = torch.cat((kept, changed), 1) / (torch.sigmoid(raw[:, 1::2] + 2) + coupling.eps) - raw[:, 0::2]
            y = step.actnorm.inverse(step.invconv.inverse(y))
        for step in reversed(level.transitions):
            y = step.actnorm.inverse(step.invconv.inverse(y))
        y = level.squeeze.inverse(y)
    return y
