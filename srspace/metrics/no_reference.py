"""NIQE, Ma and PI: quality without a reference.

NIQE and Ma's score come from pyiqa, which is licensed for non-commercial use only (PolyForm Noncommercial); it is
therefore never installed unless asked for.

NIQE: Mittal, Soundararajan, Bovik, "Making a 'Completely Blind' Image Quality Analyzer", IEEE Signal Processing
Letters 2013. Ma: Ma, Yang, Yang, Yang, "Learning a No-Reference Quality Metric for Single-Image Super-Resolution",
CVIU 2017, arXiv 1612.05890. PI: Blau, Mechrez, Timofte, Michaeli, Zelnik-Manor, "The 2018 PIRM Challenge on Perceptual
Image Super-resolution", ECCVW 2018, arXiv 1809.07517.
"""

from __future__ import annotations

from typing import Any, Literal, TypeVar

import torch
from torch import Tensor, nn

from srspace.metrics._optional import loading
from srspace.metrics._torchvision import ensure_torchvision
from srspace.metrics.context import Context
from srspace.metrics.metric import Score

_PYIQA = {"niqe": "niqe", "ma": "nrqm"}


class NoReference(nn.Module):
    """NIQE (lower is better) or Ma's score (higher is better) of each image.

    Args:
        name: ``"niqe"`` or ``"ma"``.
        device: where to compute; pyiqa binds its metrics to one.

    Raises:
        MetricUnavailableError: pyiqa or its weights are missing.
    """

    def __init__(self, name: Literal["niqe", "ma"], device: torch.device | str = "cpu") -> None:
        super().__init__()
        if name not in _PYIQA:
            raise ValueError(f"name must be niqe or ma, not {name!r}")
        self.name = name
        ensure_torchvision()
        with loading(
            {"niqe": "NIQE", "ma": "Ma"}[name],
            package="pyiqa (for non-commercial use only)",
            extra="no-reference",
            weights=name,
        ):
            import pyiqa

            self.model: Any = pyiqa.create_metric(_PYIQA[name], device=torch.device(device))

    @torch.no_grad()
    def forward(self, image: Tensor) -> Tensor:
        """Scores ``(B,)`` of images ``(B, 3, H, W)`` in [0, 1].

        Raises:
            ValueError: NIQE has no block of 96 pixels to look at.
        """
        if min(image.shape[2:]) < 96:
            raise ValueError(f"{self.name} needs 96 pixels a side, not {tuple(image.shape[2:])}")
        score: Tensor = self.model(image.float())
        return score.flatten()


Number = TypeVar("Number", float, Tensor)


def perceptual_index(niqe: Number, ma: Number) -> Number:
    """PI, ``((10 - Ma) + NIQE) / 2``; lower is better.

    >>> round(perceptual_index(3.270, 6.416), 3)
    3.427
    """
    return ((10 - ma) + niqe) / 2


def load_niqe(device: torch.device) -> NoReference:
    return NoReference("niqe", device)


def load_ma(device: torch.device) -> NoReference:
    return NoReference("ma", device)


def make_niqe(context: Context) -> Score:
    network: NoReference = context.network("niqe")
    return lambda output, reference: network(output.rgb)


def make_ma(context: Context) -> Score:
    network: NoReference = context.network("ma")
    return lambda output, reference: network(output.rgb)


def make_pi(context: Context) -> Score:
    niqe, ma = context.score("niqe"), context.score("ma")
    return lambda output, reference: perceptual_index(niqe(output, reference), ma(output, reference))
