"""Rendered pictures: text, small print, line art, flat graphics, screens and pixel art, which photographs lack.

A flow trained on photographs alone extrapolates on them, and its inverse explodes there.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

Kind = Callable[[ImageDraw.ImageDraw, int, np.random.Generator], None]

_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,:;!?%&()/+-="
# as often as in English, in per cent
_FREQUENT = "".join(
    letter * count
    for letter, count in zip(
        "etaoinshrdlcumwfgypbvkjxqz",
        (13, 9, 8, 8, 7, 7, 6, 6, 6, 4, 4, 3, 3, 2, 2, 2, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1),
        strict=True,
    )
)
_OVERSAMPLE = 2


def render_tiles(count: int, side: int, *, seed: int = 0) -> Tensor:
    """Render ``count`` pictures; picture i depends on the seed, i and the side alone.

    Args:
        count: N.
        side: S, in pixels.
        seed: any whole number from 0.

    Returns:
        ``(N, 3, S, S)`` uint8.
    """
    kinds = list(KINDS.values())

    def one(i: int) -> np.ndarray:
        return render(kinds[i % len(kinds)], side, np.random.default_rng((seed, i)))

    with ThreadPoolExecutor() as executor:
        pictures = np.stack(list(executor.map(one, range(count))))
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).contiguous()


def render(kind: Kind, side: int, rng: np.random.Generator) -> np.ndarray:
    """Draw at twice the size and reduce, so that edges are antialiased: ``(S, S, 3)`` uint8."""
    large = side * _OVERSAMPLE
    image = Image.new("RGB", (large, large), _paper(rng))
    kind(ImageDraw.Draw(image), large, rng)
    return np.asarray(image.resize((side, side), Image.Resampling.BOX))


def _paper(rng: np.random.Generator) -> tuple[int, int, int]:
    if rng.random() < 0.6:
        return (255, 255, 255)
    return _colour(rng)


def _colour(rng: np.random.Generator) -> tuple[int, int, int]:
    if rng.random() < 0.35:
        grey = int(rng.choice([0, 0, 64, 128, 192, 255]))
        return (grey, grey, grey)
    r, g, b = (int(x) for x in rng.integers(0, 256, 3))
    return (r, g, b)


def _line_art(draw: ImageDraw.ImageDraw, side: int, rng: np.random.Generator) -> None:
    ink = (0, 0, 0) if rng.random() < 0.7 else _colour(rng)
    for _ in range(int(rng.integers(15, 60))):
        width = int(rng.choice([2, 2, 3, 4, 6, 10]))
        a = rng.integers(-side // 8, side + side // 8, 2)
        b = a + rng.normal(0, side / 4, 2)
        shape = rng.random()
        if shape < 0.5:
            draw.line([*map(float, a), *map(float, b)], fill=ink, width=width)
        elif shape < 0.75:
            box = [*np.minimum(a, b).tolist(), *np.maximum(a, b).tolist()]
            draw.arc(box, float(rng.uniform(0, 360)), float(rng.uniform(0, 720)), fill=ink, width=width)
        else:
            points = np.cumsum(rng.normal(0, side / 16, (12, 2)), 0) + a
            draw.line([tuple(p) for p in points.tolist()], fill=ink, width=width, joint="curve")


def _flat_shapes(draw: ImageDraw.ImageDraw, side: int, rng: np.random.Generator) -> None:
    for _ in range(int(rng.integers(8, 40))):
        x, y = rng.integers(-side // 8, side, 2).tolist()
        w, h = (rng.random(2) ** 2 * side / 2 + 4).tolist()
        colour, kind = _colour(rng), rng.random()
        if kind < 0.4:
            draw.rectangle([x, y, x + w, y + h], fill=colour)
        elif kind < 0.7:
            draw.ellipse([x, y, x + w, y + h], fill=colour)
        else:
            corners = [(x + float(dx), y + float(dy)) for dx, dy in rng.uniform(0, 1, (4, 2)) * (w, h)]
            draw.polygon(corners, fill=colour)


def _page(draw: ImageDraw.ImageDraw, side: int, rng: np.random.Generator) -> None:
    dark = rng.random() < 0.2
    if dark:
        draw.rectangle([0, 0, side, side], fill=(20, 22, 30))
    ink = (235, 235, 235) if dark else tuple(int(x) for x in rng.integers(0, 70, 3))
    top = 0.0
    while top < side:
        size = int(rng.integers(14, 72))
        _text(draw, (float(rng.integers(-20, 40)), top), size, ink, side, rng)
        top += size * float(rng.uniform(1.1, 1.6))


def _small_print(draw: ImageDraw.ImageDraw, side: int, rng: np.random.Generator) -> None:
    """Lines of words and figures, most of them so small that a 4x reduction leaves letters of 3 to 7 pixels."""
    dark, light = rng.integers(0, 90, 3), rng.integers(190, 256, 3)
    if rng.random() < 0.5:
        dark, light = np.zeros_like(dark), np.full_like(light, 255)
    paper, ink = (dark, light) if rng.random() < 0.2 else (light, dark)
    draw.rectangle([0, 0, side, side], fill=tuple(paper.tolist()))
    bold = int(rng.random() < 0.2)
    top = float(rng.integers(-20, 20))
    while top < side:
        size = int(_OVERSAMPLE * 12 * 3 ** float(rng.random()))
        left, line = float(rng.integers(-40, 40)), ""
        while len(line) * size * 0.4 < side:
            line += _word(rng) + " "
        draw.text((left, top), line, fill=tuple(ink.tolist()), font=ImageFont.load_default(size), stroke_width=bold)
        top += size * float(rng.uniform(1.1, 1.8))


def _word(rng: np.random.Generator) -> str:
    length, kind = int(rng.integers(1, 11)), rng.random()
    if kind < 0.3:
        return "".join(rng.choice(list("0123456789"), min(length, 6)))
    word = "".join(rng.choice(list(_FREQUENT), length))
    if kind < 0.45:
        return word.capitalize()
    if kind < 0.55:
        return word.upper()
    return word + str(rng.choice(list(",.;:")) if kind < 0.65 else "")


def _screen(draw: ImageDraw.ImageDraw, side: int, rng: np.random.Generator) -> None:
    cell = int(rng.integers(60, 200))
    for top in range(0, side, cell):
        for left in range(0, side, int(cell * rng.uniform(1, 3))):
            kind = rng.random()
            right, bottom = left + cell * 2, top + cell
            if kind < 0.4:
                draw.rectangle([left, top, right, bottom], fill=_colour(rng), outline=_colour(rng), width=2)
                _text(draw, (left + 8, top + 8), int(rng.integers(18, 44)), _colour(rng), right, rng)
            elif kind < 0.6:
                step = int(rng.integers(4, 24))
                for x in range(left, right, step):
                    draw.line([x, top, x, bottom], fill=_colour(rng) if kind < 0.45 else (90, 90, 90), width=2)
            elif kind < 0.75:
                start, stop = np.array(_colour(rng)), np.array(_colour(rng))
                for x in range(left, right, 2):
                    share = (x - left) / max(1, right - left)
                    draw.rectangle([x, top, x + 2, bottom], fill=tuple((start + (stop - start) * share).astype(int)))
            else:
                radius = int(rng.integers(4, 40))
                draw.rounded_rectangle([left + 4, top + 4, right - 4, bottom - 4], radius, fill=_colour(rng))


def _pixel_art(draw: ImageDraw.ImageDraw, side: int, rng: np.random.Generator) -> None:
    """Blocks of a few colours: regions plain, chequered as in dithering, or random."""
    block = _OVERSAMPLE * int(rng.integers(2, 11))
    colours = [_colour(rng) for _ in range(int(rng.integers(2, 6)))]
    count = side // block + 1
    region = max(1, int(rng.integers(4, 24)))
    kinds = rng.integers(0, 3, (count // region + 1, count // region + 1))
    first, second = rng.integers(0, len(colours), (2, *kinds.shape))
    for row in range(count):
        for column in range(count):
            place = row // region, column // region
            chosen = int(first[place])
            if kinds[place] == 1 and (row + column) % 2:
                chosen = int(second[place])
            elif kinds[place] == 2:
                chosen = int(rng.integers(len(colours)))
            x, y = column * block, row * block
            draw.rectangle([x, y, x + block - 1, y + block - 1], fill=colours[chosen])


def _text(
    draw: ImageDraw.ImageDraw,
    place: tuple[float, float],
    size: int,
    ink: tuple[int, ...],
    side: int,
    rng: np.random.Generator,
) -> None:
    length = max(1, int(side / (size * 0.5)))
    letters = "".join(rng.choice(list(_LETTERS), length))
    gaps = rng.random(length) < 0.17
    line = "".join(" " if gap else letter for gap, letter in zip(gaps, letters, strict=True))
    draw.text(place, line, fill=ink, font=ImageFont.load_default(size))


KINDS: dict[str, Kind] = {
    "line art": _line_art,
    "screen": _screen,
    "flat graphics": _flat_shapes,
    "page": _page,
    "pixel art": _pixel_art,
    "small print": _small_print,
}
"""What :func:`render_tiles` draws, in turn."""
