"""Networks with random weights and pictures to time: speed depends on sizes alone."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from srspace.config import FlowConfig, RRDBConfig
from srspace.models import SRFlow

PUBLISHED = (RRDBConfig(nb=23), FlowConfig(stack_blocks=(1, 8, 15, 22)))
"""Sizes of the published 4x network."""


def random_model(encoder: RRDBConfig, flow: FlowConfig, *, seed: int = 0) -> SRFlow:
    """A model with random weights whose candidates stay near grey, so that none is drawn again.

    Speed depends on the sizes alone; this serves where weights of those sizes are not at hand.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = SRFlow(encoder, flow).eval().requires_grad_(False)
        for name, parameter in model.flow.named_parameters():
            if not name.endswith("invconv.weight"):
                parameter.add_(torch.randn_like(parameter) * 0.02)
    opening = model.flow.levels[0].transitions[0].actnorm  # type: ignore[union-attr, index]
    opening.bias.fill_(-0.5)
    opening.logs.fill_(5.0)
    return model


def grey_image(height: int, width: int, *, seed: int = 0) -> Tensor:
    """A smooth, low-contrast random image ``(3, height, width)``."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 3, max(2, height // 8), max(2, width // 8), generator=generator)
    return 0.45 + 0.1 * F.interpolate(coarse, (height, width), mode="bilinear")[0]
