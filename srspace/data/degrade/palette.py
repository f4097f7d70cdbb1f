"""Few colours: palettes with and without dithering, and the dots of print."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor

from srspace.data.degrade.damage import per_image

LARGEST_PALETTE = 256
_SCREEN_ANGLES = (15.0, 75.0, 0.0)  # degrees, of cyan, magenta, yellow


def palette(images: Tensor, colours: Tensor, dither: Tensor) -> Tensor:
    """Give every pixel the nearest of a few colours, as GIF does.

    The palette holds colours of randomly chosen pixels, which is near what an encoder finds: frequent colours are
    likely to be in it.

    Args:
        images: ``(B, 3, H, W)`` in [0, 1].
        colours: ``(B,)``, size of the palette, 2 to :data:`LARGEST_PALETTE`.
        dither: ``(B,)`` in [0, 1], amplitude of ordered dithering (Bayer's 8x8 matrix).
    """
    batch, _, height, width = images.shape
    pattern = _bayer(images.device).repeat(math.ceil(height / 8), math.ceil(width / 8))[:height, :width]
    pixels = images.flatten(2)
    places = torch.randint(height * width, (batch, 1, LARGEST_PALETTE), device=images.device)
    entries = pixels.gather(2, places.expand(-1, 3, -1))
    dithered = (images + per_image(dither) * pattern).flatten(2)
    unused = torch.arange(LARGEST_PALETTE, device=images.device) >= colours[:, None]
    sizes = entries.square().sum(1).masked_fill(unused, math.inf)[:, None]
    # Distances but for a constant; in parts, for they take hundreds of times the memory of a picture.
    parts = [(sizes - 2 * part.transpose(1, 2) @ entries).argmin(-1) for part in dithered.split(2**16, -1)]
    nearest = torch.cat(parts, 1)
    return entries.gather(2, nearest[:, None].expand(-1, 3, -1)).view_as(images)


def halftone(images: Tensor, period: Tensor, angle: Tensor, strength: Tensor, one_angle: Tensor) -> Tensor:
    """Print with dots: a screen per colour.

    Args:
        images: ``(B, 3, H, W)`` in [0, 1].
        period: ``(B,)``, distance of dots in pixels.
        angle: ``(B,)``, by which all screens are turned, in radians.
        strength: ``(B,)`` in [0, 1], share of the print in what comes back; the rest is the image.
        one_angle: ``(B,)`` boolean: whether the screens of all colours lie on each other, as if black alone were
            printed; otherwise each has its own angle.
    """
    rows = torch.arange(images.shape[-2], device=images.device).view(-1, 1)
    columns = torch.arange(images.shape[-1], device=images.device).view(1, -1)
    screens = []
    for degrees in _SCREEN_ANGLES:
        turn = per_image(angle + ~one_angle * math.radians(degrees))[:, 0]
        u = (columns * turn.cos() + rows * turn.sin()) * (2 * math.pi) / per_image(period)[:, 0]
        v = (rows * turn.cos() - columns * turn.sin()) * (2 * math.pi) / per_image(period)[:, 0]
        screens.append((u.cos() + v.cos()) / 4 + 0.5)
    printed = torch.sigmoid((images - torch.stack(screens, 1)) * 12)
    return torch.lerp(images, printed, per_image(strength))


@lru_cache(maxsize=8)
def _bayer(device: torch.device) -> Tensor:
    """Thresholds ``(8, 8)`` from -1/2 to 1/2, neighbours far apart."""
    matrix = torch.zeros(1, 1)
    for _ in range(3):
        top, bottom = torch.cat((4 * matrix, 4 * matrix + 2), 1), torch.cat((4 * matrix + 3, 4 * matrix + 1), 1)
        matrix = torch.cat((top, bottom))
    return ((matrix + 0.5) / 64 - 0.5).to(device)
