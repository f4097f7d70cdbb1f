from __future__ import annotations

import pytest
import torch

from srspace.metrics import Diversity, diversity


def test_diversity_follows_its_definition():
    maps = [torch.tensor([[1.0, 4.0], [3.0, 2.0]]), torch.tensor([[2.0, 1.0], [3.0, 3.0]])]
    # global best: min(10, 9) / 4; local best: (1 + 1 + 3 + 2) / 4
    assert diversity(maps) == pytest.approx((9 - 7) / 9 * 100)
    assert diversity(maps[:1]) == 0
    assert diversity([maps[0]] * 3) == 0
    assert diversity([torch.zeros(2, 2)]) == 0
    with pytest.raises(ValueError):
        Diversity().value()


def test_the_first_map_is_not_written_to():
    first, second = torch.ones(2, 2), torch.zeros(2, 2)
    diversity([first, second])
    assert first.sum() == 4
