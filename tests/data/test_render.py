from __future__ import annotations

import torch

from srspace.data.render import render_tiles


def test_rendered_tiles_depend_on_seed_and_place_alone():
    few, many = render_tiles(3, 64, seed=7), render_tiles(6, 64, seed=7)
    assert few.shape == (3, 3, 64, 64) and few.dtype == torch.uint8
    assert torch.equal(few, many[:3]) and not torch.equal(few, render_tiles(3, 64, seed=8))
    assert (many.float().flatten(1).std(1) > 1).sum() >= 4
