"""Sharpening, as cameras and people overdo it."""

from __future__ import annotations

from torch import Tensor

from srspace.data.degrade.blur import gaussian
from srspace.data.degrade.damage import per_image
from srspace.data.degrade.spectrum import spectrum


def sharpen(images: Tensor, radius: Tensor, amount: Tensor) -> Tensor:
    """Unsharp mask: add what a Gaussian blur takes away. What leaves [0, 1] is cut off, which makes halos flat.

    Args:
        images: ``(B, 3, H, W)`` in [0, 1].
        radius: ``(B,)``, standard deviation of the Gaussian in pixels.
        amount: ``(B,)``, how much of the difference is added; 1 is 100 percent.
    """
    plane = spectrum(images.shape[-2], images.shape[-1], images.device)
    frequency = (plane.horizontal.square() + plane.vertical.square()).sqrt()
    response = 1 + per_image(amount) * (1 - gaussian(per_image(radius) * frequency))
    return plane.filtered(images, response).clamp(0, 1)
