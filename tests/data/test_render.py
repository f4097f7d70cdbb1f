from __future__ import annotations

import numpy as np
import torch

from srspace.data.render import KINDS, _word, render_tiles


def test_rendered_tiles_depend_on_seed_and_place_alone():
    few, many = render_tiles(3, 64, seed=7), render_tiles(6, 64, seed=7)
    assert few.shape == (3, 3, 64, 64) and few.dtype == torch.uint8
    assert torch.equal(few, many[:3]) and not torch.equal(few, render_tiles(3, 64, seed=8))
    assert (many.float().flatten(1).std(1) > 1).sum() >= 4


def test_every_kind_draws_something():
    tiles = render_tiles(2 * len(KINDS), 96, seed=3)
    assert (tiles.float().flatten(1).std(1) > 1).all()


def test_small_print_is_made_of_words_as_often_lower_case_as_in_print():
    rng = np.random.default_rng(0)
    words = [_word(rng) for _ in range(2_000)]
    letters = "".join(words)
    assert sum(c.islower() for c in letters) > sum(c.isupper() for c in letters) * 2
    assert letters.count("e") > 3 * letters.count("w") > 0
    assert any(word.isdigit() for word in words) and any(word.isupper() for word in words)
