from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from srspace.errors import UsageError
from srspace.report.grid import SIDE, draw_grid, save_grid
from tests.report.explore.made import space

_CELL, _GAP, _HEAD = 3 * SIDE, 8, 22


def levels(image: Image.Image, count: int) -> list[int]:
    """The grey level in the middle of each crop."""
    values = np.asarray(image)
    left = image.width - 5 * (_CELL + _GAP) + _GAP
    places = [
        (_HEAD + k // 5 * (_CELL + _HEAD + _GAP) + 10, left + k % 5 * (_CELL + _GAP) + _CELL // 2) for k in range(count)
    ]
    return [int(values[place][0]) for place in places]


def test_every_mode_two_candidates_and_the_original_are_shown_in_order():
    image = draw_grid(space())
    assert levels(image, 9) == [50, 40, 90, 100, 150, 200, 60, 70, 230]
    assert levels(draw_grid(space(original=False)), 9)[-1] == 255, "nothing is there"


def test_the_place_is_where_candidates_differ_most_and_framed():
    made = space()
    values = np.asarray(draw_grid(made)).astype(int)
    red = np.argwhere((values[..., 0] > 200) & (values[..., 1] < 80))
    factor = (draw_grid(made).height - _HEAD) / 96
    top, left = (red.min(0) - [_HEAD, 0]) / factor
    bottom, right = (red.max(0) - [_HEAD, 0]) / factor
    assert top <= 65 and left <= 97 and bottom >= 79 and right >= 111  # the square that differs lies inside


def test_a_picture_smaller_than_a_crop_is_all_shown():
    made = space()
    small = [replace(p, image=p.image[:20, :24]) for p in made.pictures]
    tiny = type(made)(
        **(vars(made) | {"pictures": small, "lr": made.lr[:5, :6], "deviation": made.deviation[:20, :24]})
    )
    assert draw_grid(tiny).height > 60


def test_it_is_written_as_its_name_says(tmp_path: Path):
    save_grid(space(), tmp_path / "g.webp")
    with Image.open(tmp_path / "g.webp") as image:
        assert image.format == "WEBP"
    with pytest.raises(UsageError, match="will not do"):
        save_grid(space(), tmp_path / "g.svg")
