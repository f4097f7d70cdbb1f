"""Image quality: distances between images ``(B, 3, H, W)`` in [0, 1], one score per image."""

from srspace.metrics.lpips import Lpips
from srspace.metrics.psnr import luma, psnr

__all__ = ["Lpips", "luma", "psnr"]
