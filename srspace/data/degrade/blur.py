"""Blur of optics and movement, and ringing, given by frequency responses.

Every blur is as wide as a Gaussian of standard deviation ``size``, so that one number compares them.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from srspace.data.degrade.damage import per_image
from srspace.data.degrade.spectrum import spectrum

KINDS = ("none", "gaussian", "generalised", "ringing", "defocus", "motion")
_HALF = math.sqrt(math.log(2) / 2) / math.pi  # a Gaussian of size 1 halves this frequency, in cycles per pixel


def blur(images: Tensor, kind: Tensor, size: Tensor, ratio: Tensor, angle: Tensor, shape: Tensor) -> Tensor:
    """Blur each image in its own way.

    Args:
        images: ``(B, C, H, W)``.
        kind: ``(B,)``, index into :data:`KINDS`.
        size: ``(B,)``, standard deviation along the longer axis, in pixels.
        ratio: ``(B,)`` in (0, 1], shorter axis by longer axis (not of motion, which has no width).
        angle: ``(B,)``, direction of the longer axis against the horizontal, in radians.
        shape: ``(B,)`` in [0, 1], see :func:`generalised` and :func:`ringing`.
    """
    plane = spectrum(images.shape[-2], images.shape[-1], images.device)
    kind, size, ratio, angle, shape = (per_image(x) for x in (kind, size, ratio, angle, shape))
    along = size * (plane.horizontal * angle.cos() + plane.vertical * angle.sin())
    across = size * ratio * (plane.vertical * angle.cos() - plane.horizontal * angle.sin())
    radius = (along.square() + across.square()).sqrt()
    responses = (gaussian(radius), generalised(radius, shape), ringing(radius, shape), defocus(radius), motion(along))
    response = torch.ones_like(radius)
    for index, alternative in enumerate(responses, start=1):
        response = torch.where(kind == index, alternative, response)
    return plane.filtered(images, response)


def gaussian(radius: Tensor) -> Tensor:
    """Response of a Gaussian; the radius is frequency times size."""
    return (-2 * math.pi**2 * radius.square()).exp()


def generalised(radius: Tensor, shape: Tensor) -> Tensor:
    """From a sharp peak with wide skirts (shape 0) over the Gaussian (1/3) to a flat response that drops (1)."""
    return (-math.log(2) * (radius / _HALF) ** (1 + 3 * shape)).exp()


def ringing(radius: Tensor, shape: Tensor) -> Tensor:
    """A low-pass filter with a steep edge, as sharp resampling has: shape 0 rings most, shape 1 least."""
    width = 0.03 + 0.15 * shape
    return torch.sigmoid((1 - radius / _HALF) / width) / torch.sigmoid(1 / width)


def defocus(radius: Tensor) -> Tensor:
    """Response of an evenly lit disc, 2 J1(z) / z, by Gauss-Chebyshev quadrature of its integral."""
    z, nodes = 4 * math.pi * radius, 24
    total = torch.zeros_like(z)
    for k in range(1, nodes // 2 + 1):
        theta = k * math.pi / (nodes + 1)
        total = total + (4 / (nodes + 1)) * math.sin(theta) ** 2 * (z * math.cos(theta)).cos()
    return total * (z < nodes)  # beyond, the disc passes under 2 %, and the quadrature is no longer accurate


def motion(along: Tensor) -> Tensor:
    """Response of an even movement in a straight line."""
    return torch.sinc(math.sqrt(12) * along)
