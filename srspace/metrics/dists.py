"""DISTS, thin over piq.

Ding, Ma, Wang, Simoncelli, "Image Quality Assessment: Unifying Structure and Texture Similarity", IEEE TPAMI 2020,
arXiv 2004.07728.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from srspace.metrics._optional import loading
from srspace.metrics._torchvision import ensure_torchvision
from srspace.metrics.context import Context
from srspace.metrics.metric import Score


class Dists(nn.Module):
    """Deep image structure and texture similarity, as a distance: 0 for equal images, lower is better.

    Raises:
        MetricUnavailableError: piq or its weights are missing.
    """

    def __init__(self) -> None:
        super().__init__()
        ensure_torchvision()
        with loading("DISTS", package="piq", extra="metrics", weights="dists"):
            from piq import DISTS

            self.model = DISTS(reduction="none")
        self.eval().requires_grad_(False)

    def forward(self, sr: Tensor, hr: Tensor) -> Tensor:
        """Distance of each pair of images ``(B, 3, H, W)`` in [0, 1]; ``(B,)``."""
        distance: Tensor = self.model(sr.float(), hr.float())
        return distance.flatten()


def load(device: torch.device) -> Dists:
    return Dists().to(device)


def make(context: Context) -> Score:
    network: Dists = context.network("dists")
    return lambda output, reference: network(output.rgb, reference.hr.rgb)
