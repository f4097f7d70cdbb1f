"""PieAPP, thin over piq.

Prashnani, Cai, Mostofi, Sen, "PieAPP: Perceptual Image-Error Assessment through Pairwise Preference", CVPR 2018,
arXiv 1806.02067.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from srspace.metrics._optional import loading
from srspace.metrics._torchvision import ensure_torchvision
from srspace.metrics.context import Context
from srspace.metrics.metric import Score

PATCH = 64
STRIDE = 27


class PieApp(nn.Module):
    """Perceptual error learned from pairwise preferences, on patches of 64 pixels every 27; lower is better.

    Raises:
        MetricUnavailableError: piq or its weights are missing.
    """

    def __init__(self) -> None:
        super().__init__()
        ensure_torchvision()
        with loading("PieAPP", package="piq", extra="metrics", weights="pieapp"):
            from piq import PieAPP

            self.model = PieAPP(reduction="none", data_range=1.0, stride=STRIDE)
        self.eval().requires_grad_(False)

    def forward(self, sr: Tensor, hr: Tensor) -> Tensor:
        """Error of each pair of images ``(B, 3, H, W)`` in [0, 1]; ``(B,)``.

        Raises:
            ValueError: the images are smaller than a patch.
        """
        if min(sr.shape[2:]) < PATCH:
            raise ValueError(f"PieAPP needs {PATCH} pixels a side, not {tuple(sr.shape[2:])}")
        error: Tensor = self.model(sr.float(), hr.float())
        return error.flatten()


def load(device: torch.device) -> PieApp:
    return PieApp().to(device)


def make(context: Context) -> Score:
    network: PieApp = context.network("pieapp")
    return lambda output, reference: network(output.rgb, reference.hr.rgb)
