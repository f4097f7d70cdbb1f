"""A map of where candidates differ, in colours and with a legend, for people."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from srspace.errors import MissingExtraError
from srspace.images import Metadata, Picture
from srspace.spread import peak_of

_COLOURS = "inferno"
_LEAST, _EDGE, _BAR, _TEXT = 260, 8, 12, 11  # pixels


def check_colours() -> None:
    """Raise what :func:`drawn` would raise, before any work.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    _colours()


def drawn(deviation: NDArray[np.float32], count: int) -> Picture:
    """The deviation of candidates in colours, and below it which colour stands for how much.

    Args:
        deviation: ``(H, W)``, as :meth:`srspace.spread.Spread.deviation` gives it.
        count: how many candidates there were.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    colours, peak = _colours(), peak_of(deviation)
    height, width = deviation.shape
    wide = max(width, _LEAST)
    sheet = Image.new("RGB", (wide, height + 2 * _EDGE + _BAR + _TEXT + 3), "white")
    sheet.paste(_painted(colours, deviation / peak), (0, 0))
    bar = np.broadcast_to(np.linspace(0, 1, wide - 2 * _EDGE), (_BAR, wide - 2 * _EDGE))
    top = height + _EDGE
    sheet.paste(_painted(colours, bar), (_EDGE, top))
    pen, font, below = ImageDraw.Draw(sheet), ImageFont.load_default(_TEXT), top + _BAR + 3
    pen.text((_EDGE, below), "0", "black", font, anchor="lt")
    pen.text((wide / 2, below), f"deviation of {count} candidates", "black", font, anchor="mt")
    pen.text((wide - _EDGE, below), f"{255 * peak:.3g}/255", "black", font, anchor="rt")
    said = f"Standard deviation of {count} candidates at each pixel; the last colour stands for {peak:.6g} or more."
    samples = np.asarray(sheet, np.float32) / np.float32(255)
    return Picture(samples, metadata=Metadata(texts=(("Description", said),)))


def _painted(colours: Any, shares: NDArray[Any]) -> Image.Image:
    return Image.fromarray(colours(np.clip(shares, 0, 1), bytes=True)[..., :3])


def _colours() -> Any:
    try:
        import matplotlib
    except ImportError as error:
        raise MissingExtraError("a map in colours", "matplotlib", "plot") from error
    return matplotlib.colormaps[_COLOURS]
