"""Old photographs: grain, fading, scratches."""

from __future__ import annotations

import torch
from torch import Tensor

from srspace.data.degrade.colour import luma
from srspace.data.degrade.damage import per_image
from srspace.data.degrade.noise import smoothed

_SCRATCHES = 2


def old_photo(images: Tensor, grain: Tensor, grain_size: Tensor, fading: Tensor, scratches: Tensor) -> Tensor:
    """Age photographs, lightly.

    Args:
        images: ``(B, 3, H, W)`` in [0, 1].
        grain: ``(B,)``, standard deviation of the grain at middle grey, in 8-bit levels; none in black and white.
        grain_size: ``(B,)``, blur of the grain in pixels.
        fading: ``(B,)`` in [0, 1]: share of colour that is lost, and, by half, of contrast.
        scratches: ``(B,)`` in [0, 1]: how bright two thin, almost upright lines are.
    """
    fading, scratches = per_image(fading), per_image(scratches)
    brightness = luma(images)
    field = smoothed(torch.randn_like(brightness), per_image(grain_size))
    images = torch.lerp(images, brightness, fading)
    images = images + per_image(grain) / 255 * (4 * brightness * (1 - brightness)).clamp_min(0).sqrt() * field
    images = images + (0.5 - images) * fading / 2
    rows = torch.linspace(-1, 1, images.shape[-2], device=images.device).view(1, 1, -1, 1)
    columns = torch.arange(images.shape[-1], device=images.device).view(1, 1, 1, -1)
    start, slope = torch.rand(2, images.shape[0], _SCRATCHES, 1, 1, device=images.device)
    distance = columns - start * images.shape[-1] - (slope - 0.5) * 4 * rows
    line = (-(distance / 0.6).square()).exp().amax(1, keepdim=True)
    scratched: Tensor = images + scratches * line
    return scratched.clamp(0, 1)
