"""A camera's sensor: colour filters, photons and electronics, and the interpolation of colours."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from srspace.data.degrade.damage import per_image


def camera(
    light: Tensor,
    full_well: Tensor,
    read_noise: Tensor,
    red_gain: Tensor,
    blue_gain: Tensor,
    phase: Tensor,
    softness: Tensor,
) -> Tensor:
    """Expose an RGGB sensor and interpolate its colours bilinearly.

    Args:
        light: ``(B, 3, H, W)``, linear, in [0, 1].
        full_well: ``(B,)``, electrons at full exposure; their number has photon noise.
        read_noise: ``(B,)``, electrons.
        red_gain: ``(B,)``, white balance: how much weaker than green the sensor sees red.
        blue_gain: ``(B,)``, the same of blue.
        phase: ``(B,)``, 0 to 3: where in the pattern of 2x2 pixels the first pixel lies.
        softness: ``(B,)`` in [0, 1]: 0 keeps the values of green pixels, 1 averages them with their neighbours.

    Returns:
        Linear light in [0, 1].
    """
    height, width = light.shape[-2:]
    phase = per_image(phase)
    rows = (torch.arange(height, device=light.device).view(1, 1, -1, 1) + phase // 2) % 2
    columns = (torch.arange(width, device=light.device).view(1, 1, 1, -1) + phase % 2) % 2
    filters = torch.cat((((rows == 0) & (columns == 0)), rows != columns, ((rows == 1) & (columns == 1))), 1)
    gains = torch.stack((red_gain, torch.ones_like(red_gain), blue_gain), 1)[:, :, None, None]
    full_well = per_image(full_well)
    electrons = light.clamp(0, 1) / gains * full_well
    deviation = (electrons + per_image(read_noise).square()).sqrt()
    electrons = electrons + deviation * torch.randn_like(electrons)[:, :1]
    mosaic = torch.where(filters, electrons / full_well, torch.zeros_like(electrons)).clamp(0, 1)
    return (_interpolated(mosaic, per_image(softness)) * gains).clamp(0, 1)


def _interpolated(mosaic: Tensor, softness: Tensor) -> Tensor:
    """The mean of the neighbours that have the colour, nearer ones counting more."""
    # Mirroring without repeating the edge keeps the pattern.
    padded = F.pad(mosaic, (1, 1, 1, 1), mode="reflect")
    across = padded[..., :-2] + 2 * padded[..., 1:-1] + padded[..., 2:]
    blurred = across[..., :-2, :] + 2 * across[..., 1:-1, :] + across[..., 2:, :]
    # Green has twice as many pixels; counted like the others, a green pixel is blurred by its diagonal neighbours.
    beside = padded[..., 1:-1, :-2] + padded[..., 1:-1, 2:] + padded[..., :-2, 1:-1] + padded[..., 2:, 1:-1]
    green = torch.lerp(mosaic[:, 1:2] + beside[:, 1:2] / 4, blurred[:, 1:2] / 8, softness)
    return torch.cat((blurred[:, :1] / 4, green, blurred[:, 2:] / 4), 1)
