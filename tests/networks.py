"""Small networks with random weights, and folders of such."""

from __future__ import annotations

from pathlib import Path

import torch

from srspace.checkpoints import save_model
from srspace.config import DialConfig, FlowConfig, FusionConfig, RRDBConfig
from srspace.models import DialFusion, FusionNet, SRFlow


def small_flow(scale: int = 4, seed: int = 0) -> SRFlow:
    """A flow with random, non-zero weights everywhere."""
    torch.manual_seed(seed)
    levels = scale.bit_length() - 1
    model = SRFlow(
        RRDBConfig(scale=scale, nf=8, gc=4, nb=3),
        FlowConfig(scale=scale, levels=levels, steps=2, hidden_channels=8, stack_blocks=(0, 2)),
    )
    with torch.no_grad():
        for name, parameter in model.flow.named_parameters():
            if not name.endswith("invconv.weight"):
                parameter.add_(torch.randn_like(parameter) * 0.05)
    return model.eval().requires_grad_(False)


def calm_flow(scale: int = 4, seed: int = 0) -> SRFlow:
    """A small flow whose candidates are near 0.5 + 0.05 z, so that those of nearly grey pictures are not broken."""
    model = small_flow(scale, seed)
    opening = model.flow.levels[0].transitions[0].actnorm
    with torch.no_grad():
        opening.bias.fill_(-0.5)
        opening.logs.fill_(3.0)
    return model


def repeating_flow() -> SRFlow:
    """A flow whose encoder repeats every pixel."""
    flow = FlowConfig(steps=1, hidden_channels=4, stack_blocks=(0,))
    model = SRFlow(RRDBConfig(nf=3, gc=2, nb=1, skip="first"), flow)
    for name, parameter in model.encoder.named_parameters():
        if name.endswith("weight") and "trunk" not in name:
            torch.nn.init.dirac_(parameter)
        else:
            torch.nn.init.zeros_(parameter)
    return model


def write_tiny(root: Path) -> Path:
    """The folders ``x4``, ``x8``, ``fusion`` and ``dial``."""
    for scale in (4, 8):
        save_model(root / f"x{scale}", calm_flow(scale))
    torch.manual_seed(0)
    networks = {
        "fusion": FusionNet(FusionConfig(samples=2, channels=4, blocks=0)),
        "dial": DialFusion(DialConfig(features=24, channels=4, blocks=1, embedding=4)),
    }
    for name, network in networks.items():
        torch.nn.init.normal_(network.tail.weight, std=0.05)
        save_model(root / name, network)
    return root
