"""NIQE, Ma and PI: quality without a reference.

NIQE (Mittal et al., 2013) and Ma's score (Ma et al., 2017) come from pyiqa, which is licensed for non-commercial use
only (PolyForm Noncommercial); it is therefore never installed unless asked for.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn

from srspace.metrics._optional import loading
from srspace.metrics._torchvision import ensure_torchvision

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
            weights=f"srspace data pull {name}",
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


def perceptual_index(niqe: float, ma: float) -> float:
    """PI, ``((10 - Ma) + NIQE) / 2`` (Blau et al., 2018); lower is better."""
    return ((10 - ma) + niqe) / 2
