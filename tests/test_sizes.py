from __future__ import annotations

import pickle

import pytest

from srspace.errors import EnlargementError, UsageError
from srspace.sizes import MAX_FACTOR, TargetSize, parse_box


@pytest.mark.parametrize(
    ("size", "name", "expected"),
    [
        (TargetSize(scale=2), "x2", (66, 42)),
        (TargetSize(scale=1.5), "x1.5", (50, 32)),
        (TargetSize(scale=0.5), "x0.5", (17, 11)),  # 16.5 and 10.5: halves go up
        (TargetSize(scale=1), "x1", (33, 21)),
        (TargetSize(scale=0.01), "x0.01", (1, 1)),
        (TargetSize(width=101), "101w", (101, 64)),
        (TargetSize(height=64), "64h", (101, 64)),
        (TargetSize(fit=(80, 60)), "fit80x60", (80, 51)),
        (TargetSize(fit=(80, 50)), "fit80x50", (79, 50)),
        (TargetSize(megapixels=0.01), "0.01mp", (125, 80)),
        (TargetSize(megapixels=0.04), "0.04mp", (251, 160)),
    ],
)
def test_every_way_to_tell_a_size_keeps_proportions_and_has_a_name(size: TargetSize, name: str, expected):
    assert size.of(33, 21) == expected and str(size) == name
    assert pickle.loads(pickle.dumps(size)) == size


def test_a_box_is_never_left_and_always_touched():
    for width in range(1, 60):
        for height in range(1, 40, 3):
            size = TargetSize(fit=(8 * width, 90)).of(width, height) if height >= 12 else None
            assert size is None or (size[0] <= 8 * width and size[1] <= 90 and (size[0] == 8 * width or size[1] == 90))


def test_nothing_is_enlarged_more_than_the_most():
    assert TargetSize(width=80).of(10, 10) == (80, 80)
    with pytest.raises(EnlargementError, match=r"tiny\.png has 10x4 pixels; 81x32 would be more than 8 times as large"):
        TargetSize(width=81).of(10, 4, "tiny.png")
    with pytest.raises(UsageError, match=f"at most {MAX_FACTOR}, not 8.5"):
        TargetSize(scale=8.5)


@pytest.mark.parametrize(
    "given",
    [
        {}, {"scale": 2.0, "width": 5}, {"fit": (1, 1), "megapixels": 1.0}, {"scale": 0.0}, {"scale": float("nan")},
        {"width": 0}, {"height": -3}, {"fit": (5, 0)}, {"megapixels": 0.0}, {"megapixels": float("inf")},
    ],
)  # fmt: skip
def test_what_is_no_size_is_refused(given: dict):
    with pytest.raises(UsageError):
        TargetSize(**given)


def test_boxes_are_parsed():
    assert parse_box("800x600") == parse_box(" 800X600 ") == (800, 600)
    for text in ("800", "800x", "-1x5", "1e3x5", "1x2x3"):
        with pytest.raises(UsageError, match="800x600"):
            parse_box(text)
