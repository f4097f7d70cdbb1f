from __future__ import annotations

import numpy as np

from srspace.images import fill_transparent, on_white


def test_invisible_parts_take_the_colour_beside_them_and_visible_ones_stay():
    rgb = np.zeros((5, 7, 3), np.float32)
    rgb[:, :3] = (0.2, 0.4, 0.6)
    alpha = np.zeros((5, 7), np.float32)
    alpha[:, :3] = 1
    filled = fill_transparent(rgb, alpha)
    assert np.array_equal(filled[:, :3], rgb[:, :3])
    assert np.allclose(filled[:, 3:], (0.2, 0.4, 0.6), atol=1e-6)


def test_on_white():
    colour = np.full((1, 3, 3), 0.5, np.float32)
    assert on_white(colour, np.array([[0, 0.5, 1]], np.float32))[0, :, 0].tolist() == [1, 0.75, 0.5]
