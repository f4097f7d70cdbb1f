from __future__ import annotations

import numpy as np

from srspace.images import Picture
from srspace.images.animation import Steady


def frame(value: float, alpha: float | None = None) -> Picture:
    rgb = np.full((2, 2, 3), value, np.float32)
    rgb[0, 0] = 0.5
    return Picture(rgb, None if alpha is None else np.full((2, 2), alpha, np.float32))


def test_what_hardly_changes_does_not_change():
    steady = Steady()
    first = steady(frame(0.2))
    assert np.array_equal(steady(frame(0.2 + 0.9 / 255)).rgb, first.rgb)
    moved = steady(frame(0.2 + 1.1 / 255)).rgb
    assert np.array_equal(moved, frame(0.2 + 1.1 / 255).rgb), "slow changes do not add up unseen"


def test_transparency_counts_as_colours_do():
    steady = Steady()
    steady(frame(0.2, 1.0))
    hardly = steady(frame(0.2, 1.0 - 0.9 / 255))
    assert hardly.alpha is not None and (hardly.alpha == 1).all()
    moved = steady(frame(0.2, 0.5))
    assert moved.alpha is not None and (moved.alpha == 0.5).all()
