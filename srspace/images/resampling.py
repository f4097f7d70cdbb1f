"""Pictures made smaller, by Lanczos' kernel."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from srspace.images.colour.light import curve_of, from_light, to_light
from srspace.images.picture import Picture


def resized(picture: Picture, width: int, height: int, *, linear_light: bool = False) -> Picture:
    """A picture of another size; nothing else of it changes, and one of that size comes back as it is.

    Args:
        picture: of any size. Colours in its transparent parts must be those of their surroundings, as upscalers make
            them: colours and transparency are resized apart from each other.
        width: in pixels.
        height: likewise.
        linear_light: whether colours are averaged as light. Those of an ICC profile are then taken to have the curve
            of sRGB; those of HDR are averaged as they are.
    """
    if (width, height) == (picture.width, picture.height):
        return picture
    curve = curve_of(picture.colour) if linear_light else None
    rgb = picture.rgb if curve is None else to_light(picture.rgb, curve)
    rgb = np.stack([_channel(rgb[..., i], width, height) for i in range(3)], axis=2)
    alpha = None if picture.alpha is None else _channel(picture.alpha, width, height)
    return replace(picture, rgb=rgb if curve is None else from_light(rgb, curve), alpha=alpha)


def _channel(samples: NDArray[np.float32], width: int, height: int) -> NDArray[np.float32]:
    image = Image.fromarray(np.ascontiguousarray(samples, np.float32))
    # Lanczos' kernel overshoots at edges.
    return np.asarray(image.resize((width, height), Image.Resampling.LANCZOS), np.float32).clip(0, 1)
