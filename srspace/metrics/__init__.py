"""Image quality: one object a metric, found by name in a registry; what computes them is loaded on first use.

The functions and networks take images ``(B, 3, H, W)`` in [0, 1] and return one score per image.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from srspace.metrics.metric import Gatherer, Metric, Score
from srspace.metrics.registry import (
    DIVERSITY_NET,
    LPIPS_NETS,
    check_backbone,
    describe,
    every,
    find,
    networks,
    parse,
    register,
)
from srspace.metrics.weights import fetch_weights

_LAZY = {
    "Context": "srspace.metrics.context",
    "Dists": "srspace.metrics.dists",
    "Diversity": "srspace.metrics.spread",
    "Lpips": "srspace.metrics.lpips",
    "NoReference": "srspace.metrics.no_reference",
    "PieApp": "srspace.metrics.pieapp",
    "Reference": "srspace.metrics.view",
    "View": "srspace.metrics.view",
    "diversity": "srspace.metrics.spread",
    "lr_psnr": "srspace.metrics.consistency",
    "luma": "srspace.metrics.distortion",
    "perceptual_index": "srspace.metrics.no_reference",
    "psnr": "srspace.metrics.distortion",
    "ssim": "srspace.metrics.distortion",
    "to_uint8": "srspace.metrics.view",
}

__all__ = [
    "DIVERSITY_NET",
    "LPIPS_NETS",
    "Context",
    "Dists",
    "Diversity",
    "Gatherer",
    "Lpips",
    "Metric",
    "NoReference",
    "PieApp",
    "Reference",
    "Score",
    "View",
    "check_backbone",
    "describe",
    "diversity",
    "every",
    "fetch_weights",
    "find",
    "lr_psnr",
    "luma",
    "networks",
    "parse",
    "perceptual_index",
    "psnr",
    "register",
    "ssim",
    "to_uint8",
]

if TYPE_CHECKING:
    from srspace.metrics.consistency import lr_psnr
    from srspace.metrics.context import Context
    from srspace.metrics.distortion import luma, psnr, ssim
    from srspace.metrics.dists import Dists
    from srspace.metrics.lpips import Lpips
    from srspace.metrics.no_reference import NoReference, perceptual_index
    from srspace.metrics.pieapp import PieApp
    from srspace.metrics.spread import Diversity, diversity
    from srspace.metrics.view import Reference, View, to_uint8


def __getattr__(name: str) -> Any:
    # No module of this package may be called like one of these, or importing it would hide the function.
    if name not in _LAZY:
        raise AttributeError(f"module 'srspace.metrics' has no attribute {name!r}")
    return getattr(import_module(_LAZY[name]), name)
