from __future__ import annotations

import numpy as np
import pytest

from srspace.assessment.crops import MOST, SIDE, crops_of
from srspace.images import Picture


def picture(height: int, width: int, seed: int = 0) -> Picture:
    return Picture(np.random.default_rng(seed).random((height, width, 3), np.float32))


@pytest.mark.parametrize(
    ("size", "count", "side"),
    [
        ((1, 1), 1, (24, 24)),
        ((8, 8), 1, (24, 24)),
        ((30, 8), 1, (30, 24)),
        ((64, 64), 1, (64, 64)),
        ((65, 130), 6, (64, 64)),
        ((9, 5000), MOST, (24, 64)),
        ((700, 900), MOST, (64, 64)),
    ],
)
def test_any_size_gives_whole_levels_in_parts_of_one_size(size: tuple[int, int], count: int, side: tuple[int, int]):
    levels = crops_of(picture(*size))
    assert levels.shape == (count, *side, 3) and levels.dtype == np.float32
    assert np.array_equal(levels, levels.round()) and levels.min() >= 0 and levels.max() <= 255


def test_a_small_picture_is_covered():
    rgb = np.zeros((150, 200, 3), np.float32)
    rgb[...] = np.arange(150)[:, None, None] / 255
    rgb[..., 1] = np.arange(200) / 255
    seen = {(int(p[0]), int(p[1])) for crop in crops_of(Picture(rgb)) for p in crop.reshape(-1, 3)}
    assert seen == {(row, column) for row in range(150) for column in range(200)}


def test_of_a_large_picture_the_details_are_found_and_the_rest_is_sampled():
    rgb = np.full((1500, 1500, 3), 0.5, np.float32)
    rgb[640:960, 640:960] = np.random.default_rng(0).random((320, 320, 3))
    crops = crops_of(Picture(rgb))
    detailed = (crops.std((1, 2, 3)) > 20).sum()
    assert 4 <= detailed < MOST, "a twentieth of the picture fills more than an eighth of the parts, but not all"
    assert np.array_equal(crops, crops_of(Picture(rgb.copy()))), "the same pixels, the same parts"


def test_depth_says_nothing_and_hidden_colours_are_not_looked_at():
    deep = picture(40, 40).rgb
    assert np.array_equal(crops_of(Picture(deep, bit_depth=16)), crops_of(Picture(np.rint(deep * 255) / 255)))
    alpha = np.ones((40, 40), np.float32)
    alpha[:, 20:] = 0
    plain = np.full((40, 40, 3), 0.25, np.float32)
    plain[:, 20:] = deep[:, 20:]
    assert crops_of(Picture(plain, alpha)).std() < 1


def test_parts_are_not_wider_than_they_need_be():
    assert SIDE * SIDE * MOST <= 2**17, "an assessment must cost little beside upscaling"
