from __future__ import annotations

import pytest
import torch

from srspace.sampling import MARGIN, plan_tiles


@pytest.mark.parametrize("margin", [0, 5, MARGIN])
@pytest.mark.parametrize("size", [(1, 1), (1, 37), (100, 7), (64, 64)])
def test_tiles_cover_the_image_once(size: tuple[int, int], margin: int):
    covered = torch.zeros(size)
    image = torch.rand(3, *size)
    again = torch.zeros(3, *size)
    for tile in plan_tiles(*size, 32, margin):
        assert max(tile.rows.stop - tile.rows.start, tile.columns.stop - tile.columns.start) <= 32
        covered[tile.rows, tile.columns] += 1
        outer = tile.cut(image)
        assert outer.shape[1] * outer.shape[2] == tile.pixels
        left, right, top, bottom = tile.lacking(margin)
        padded = torch.nn.functional.pad(outer, (left, right, top, bottom))
        height, width = covered[tile.rows, tile.columns].shape
        assert padded.shape == (3, height + 2 * margin, width + 2 * margin)
        middle = padded[:, margin : margin + height, margin : margin + width]
        assert torch.equal(middle, tile.kept(outer, 1))
        tile.put(outer, again, 1)
    assert torch.equal(covered, torch.ones(size)) and torch.equal(again, image)


def test_without_a_side_there_is_one_tile():
    (tile,) = plan_tiles(3000, 2000, 0)
    assert (tile.rows, tile.outer_columns) == (slice(0, 3000), slice(0, 2000))
