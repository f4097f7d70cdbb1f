"""Labelled crops side by side, beside the whole picture with the crop's place: the usual figure of a paper."""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from srspace.errors import UsageError
from srspace.files import write_bytes
from srspace.report.explore.space import BICUBIC, CANDIDATE, ORIGINAL, Shown, Space
from srspace.spread import busiest

SIDE = 64
"""Of a crop, in output pixels."""

FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}

_ZOOM, _GAP, _HEAD, _COLUMNS, _CANDIDATES = 3, 8, 22, 5, 2
_FRAME = (230, 40, 40)


def check_grid_path(path: Path) -> None:
    """Raise what :func:`save_grid` would raise about ``path``, before any work.

    Raises:
        UsageError: it is none of the formats.
    """
    if path.suffix.lower() not in FORMATS:
        raise UsageError(f"a grid is written as {', '.join(FORMATS)}, so {path.name} will not do.")


def save_grid(space: Space, path: Path) -> None:
    """Draw the grid and write it.

    Raises:
        UsageError: the suffix is unknown.
        OutputError: the file cannot be written.
    """
    check_grid_path(path)
    buffer = io.BytesIO()
    draw_grid(space).save(buffer, FORMATS[path.suffix.lower()], icc_profile=space.icc_profile or b"")
    write_bytes(path, buffer.getvalue())


def draw_grid(space: Space) -> Image.Image:
    """The place where candidates differ most, in every mode, in two candidates, and in the original where it is known.

    Of a mode that is shown at several values of its parameter, the lowest, the middle and the highest are taken.
    """
    top, left = busiest(space.deviation, SIDE)
    panels = [("input", _enlarged(space))]
    panels += [(shown.label, shown.image) for shown in _chosen(space.pictures)]
    crops = [(label, image[top : top + SIDE, left : left + SIDE]) for label, image in panels]
    cell = SIDE * _ZOOM
    rows = -(-len(crops) // _COLUMNS)
    height = rows * (_HEAD + cell + _GAP) - _GAP
    whole = _marked(space, top, left, height - _HEAD)
    sheet = Image.new("RGB", (whole.width + _COLUMNS * (cell + _GAP), height), "white")
    pen = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(size=14)
    pen.text((2, 2), space.name, fill="black", font=font)
    sheet.paste(whole, (0, _HEAD))
    for place, (label, crop) in enumerate(crops):
        x = whole.width + _GAP + place % _COLUMNS * (cell + _GAP)
        y = place // _COLUMNS * (_HEAD + cell + _GAP)
        pen.text((x + 2, y + 2), label, fill="black", font=font)
        image = Image.fromarray(crop)
        sheet.paste(image.resize((image.width * _ZOOM, image.height * _ZOOM), Image.Resampling.NEAREST), (x, y + _HEAD))
    return sheet


def _chosen(pictures: Iterable[Shown]) -> list[Shown]:
    """What the grid shows, in its order: bicubic, modes, candidates, original."""
    pictures = list(pictures)
    modes = [p for p in pictures if p.mode not in (BICUBIC, CANDIDATE, ORIGINAL)]
    values = sorted({p.value for p in modes if p.value is not None})
    kept = {values[0], values[len(values) // 2], values[-1]} if values else set()
    return [
        *(p for p in pictures if p.mode == BICUBIC),
        *(p for p in modes if p.value is None or p.value in kept),
        *[p for p in pictures if p.mode == CANDIDATE][:_CANDIDATES],
        *(p for p in pictures if p.mode == ORIGINAL),
    ]


def _enlarged(space: Space) -> NDArray[np.uint8]:
    """The input, pixel by pixel as large as the results."""
    return space.lr.repeat(space.scale, axis=0).repeat(space.scale, axis=1)


def _marked(space: Space, top: int, left: int, height: int) -> Image.Image:
    """The whole bicubic picture in that height, with a frame around the crop."""
    image = next(p.image for p in space.pictures if p.mode == BICUBIC)
    factor = height / image.shape[0]
    width = max(1, round(image.shape[1] * factor))
    # A very wide picture is shown smaller.
    factor *= min(1.0, 3 * height / width)
    size = (max(1, round(image.shape[1] * factor)), max(1, round(image.shape[0] * factor)))
    whole = Image.fromarray(image).resize(size, Image.Resampling.LANCZOS)
    corners = [left * factor, top * factor, (left + SIDE) * factor, (top + SIDE) * factor]
    ImageDraw.Draw(whole).rectangle([round(c) for c in corners], outline=_FRAME, width=3)
    return whole
