"""Image quality: distances between images ``(B, 3, H, W)`` in [0, 1], one score per image."""

from srspace.metrics._optional import MetricUnavailableError
from srspace.metrics.catalog import METRICS, MetricInfo
from srspace.metrics.dists import Dists
from srspace.metrics.diversity import Diversity, diversity
from srspace.metrics.lpips import Lpips
from srspace.metrics.lr_psnr import lr_psnr, to_uint8
from srspace.metrics.no_reference import NoReference, perceptual_index
from srspace.metrics.pieapp import PieApp
from srspace.metrics.psnr import luma, psnr
from srspace.metrics.ssim import ssim

__all__ = [
    "METRICS",
    "Dists",
    "Diversity",
    "Lpips",
    "MetricInfo",
    "MetricUnavailableError",
    "NoReference",
    "PieApp",
    "diversity",
    "lr_psnr",
    "luma",
    "perceptual_index",
    "psnr",
    "ssim",
    "to_uint8",
]
