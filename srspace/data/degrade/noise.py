"""Noise of sensors and of what software makes of it."""

from __future__ import annotations

import torch
from torch import Tensor

from srspace.data.degrade.blur import gaussian
from srspace.data.degrade.colour import luma
from srspace.data.degrade.damage import per_image
from srspace.data.degrade.spectrum import spectrum

COLOURS = ("per channel", "grey", "chroma")


def noise(images: Tensor, strength: Tensor, colour: Tensor, smooth: Tensor, signal: Tensor) -> Tensor:
    """Add Gaussian noise.

    Args:
        images: ``(B, 3, H, W)`` in [0, 1].
        strength: ``(B,)``, standard deviation of a channel in 8-bit levels.
        colour: ``(B,)``, index into :data:`COLOURS`; chroma noise leaves brightness alone.
        smooth: ``(B,)``, standard deviation of the blur that the noise has gone through, in pixels: 0 is white noise,
            1 makes blotches. The strength is that after the blur.
        signal: ``(B,)`` in [0, 1]: 0 is even noise; 1 is photon noise, whose variance is proportional to brightness,
            with ``strength`` at middle grey.
    """
    colour, smooth, signal = per_image(colour), per_image(smooth), per_image(signal)
    field = torch.randn_like(images)
    brightness = luma(field)
    # What is left of a channel without brightness is weaker: 1 - 2 w + sum of squared luma weights, about 2/3.
    field = torch.where(colour == 1, field[:, :1], torch.where(colour == 2, (field - brightness) * 1.2, field))
    field = smoothed(field, smooth)
    amplitude = torch.lerp(torch.ones_like(brightness), (2 * luma(images).clamp(0, 1)).sqrt(), signal)
    return (images + per_image(strength) / 255 * amplitude * field).clamp(0, 1)


def smoothed(field: Tensor, size: Tensor) -> Tensor:
    """White noise blurred by a Gaussian of ``size`` ``(B, 1, 1, 1)`` pixels, brought back to unit variance."""
    plane = spectrum(field.shape[-2], field.shape[-1], field.device)
    response = gaussian(size * (plane.horizontal.square() + plane.vertical.square()).sqrt())
    # The half spectrum stands for the whole one closely enough here.
    return plane.filtered(field, response / response.square().mean((-1, -2), keepdim=True).sqrt())
