"""A result shown in the terminal: by its graphics protocol where a library knows it, in half-blocks elsewhere."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rich.color import Color
from rich.console import Console
from rich.segment import Segment, Segments
from rich.style import Style

_LARGEST = (96, 32)  # columns and lines
_BELOW = 4  # lines left for what is printed below


def can_preview() -> bool:
    """Whether both streams are terminals: a pipe gets no pictures."""
    return sys.stdout.isatty() and sys.stderr.isatty()


def preview(path: Path, screen: Console | None = None) -> None:
    """Show a picture on standard error."""
    from srspace.images import read_rgb8

    screen = screen or Console(stderr=True)
    image = read_rgb8(path)
    columns, lines = _size(image, screen)
    shown = _by_protocol(image, columns, lines) or half_blocks(image, columns, lines)
    screen.print(shown)


def half_blocks(image: NDArray[np.uint8], columns: int, lines: int) -> Segments:
    """The picture as characters whose upper and lower halves are one pixel each.

    Args:
        image: ``(H, W, 3)``.
        columns: to fill.
        lines: likewise.
    """
    small = np.asarray(Image.fromarray(image).resize((columns, 2 * lines), Image.Resampling.LANCZOS))
    segments = []
    for upper, lower in zip(small[::2], small[1::2], strict=True):
        for above, below in zip(upper.tolist(), lower.tolist(), strict=True):
            style = Style(color=Color.from_rgb(*above), bgcolor=Color.from_rgb(*below))
            segments.append(Segment("\N{UPPER HALF BLOCK}", style))
        segments.append(Segment.line())
    return Segments(segments)


def _size(image: NDArray[np.uint8], screen: Console) -> tuple[int, int]:
    """Columns and lines that the picture fills; a character is about twice as high as wide."""
    columns, lines = min(_LARGEST[0], screen.width), max(1, min(_LARGEST[1], screen.height - _BELOW))
    height, width = image.shape[:2]
    factor = min(columns / width, 2 * lines / height)
    return max(1, round(width * factor)), max(1, round(height * factor / 2))


def _by_protocol(image: NDArray[np.uint8], columns: int, lines: int) -> Any:
    """What draws the picture by the terminal's own protocol (kitty's or Sixel); None without the library or one."""
    try:
        # It asks the terminal what it can when it is imported.
        from textual_image.renderable import Image as Protocol
        from textual_image.renderable import SixelImage, TGPImage
    except ImportError:
        return None
    if Protocol not in (SixelImage, TGPImage):
        return None
    return Protocol(Image.fromarray(image), width=columns, height=lines)
