from __future__ import annotations

import numpy as np
import pytest

from srspace.spread import Spread, busiest, spread_of


def test_the_deviation_is_that_of_all_candidates_at_once():
    images = np.random.default_rng(0).random((5, 6, 7, 3))
    expected = np.sqrt(images.var(0).mean(-1))
    assert np.allclose(spread_of(images), expected, atol=1e-6)


def test_equal_candidates_do_not_differ():
    image = np.random.default_rng(0).random((4, 5, 3)).astype(np.float32)
    assert (spread_of([image] * 3) == 0).all()


def test_without_candidates_there_is_nothing_to_say():
    with pytest.raises(ValueError, match="no candidate"):
        Spread().deviation()


@pytest.mark.parametrize("place", [(0, 0), (5, 9), (12, 22), (3, 0)])
def test_the_busiest_square_is_found(place: tuple[int, int]):
    deviation = np.full((20, 30), 0.01)
    top, left = place
    deviation[top : top + 8, left : left + 8] = 0.2
    assert busiest(deviation, 8) == place


def test_a_square_larger_than_the_picture_is_all_of_it():
    assert busiest(np.ones((5, 40)), 16) == (0, 0)
    assert busiest(np.eye(3), 9) == (0, 0)
