from __future__ import annotations

import pytest
import torch

from srspace import modes
from srspace.collapse.consistency import consistent, projected
from srspace.config import SamplingConfig
from srspace.resize import imresize
from srspace.sampling import Sampler
from tests.toy import ToyModel, smooth


def difference(image: torch.Tensor, lr: torch.Tensor) -> float:
    return 255 * (imresize(image, 0.25) - lr).abs().max().item()


@pytest.mark.parametrize("size", [(1, 1), (5, 3), (16, 24)])
def test_the_reduction_becomes_the_input(size: tuple[int, int]):
    lr = smooth(*size)
    torch.manual_seed(0)
    image = (imresize(lr, 4) + 0.1 * torch.randn(3, 4 * size[0], 4 * size[1])).clamp(0, 1)
    assert difference(image, lr) > 3
    out = projected(image, lr)
    assert difference(out, lr) < 0.5 and (out - image).abs().mean() < 0.05


def test_the_range_is_kept_where_the_input_leaves_none():
    lr = (torch.rand(3, 12, 12, generator=torch.Generator().manual_seed(0)) > 0.5).float()
    out = projected(imresize(lr, 4).clamp(0, 1), lr)
    assert out.min() >= 0 and out.max() <= 1


def test_a_consistent_sink_in_tiles():
    lr, mode = smooth(60, 70), modes.find("sample")
    maker = consistent(mode.sink(1))
    whole = Sampler(ToyModel(), lr, SamplingConfig(samples=1)).collapse(maker)
    tiled = Sampler(ToyModel(), lr, SamplingConfig(samples=1, tile=20)).collapse(maker)
    plain = Sampler(ToyModel(), lr, SamplingConfig(samples=1)).collapse(mode.sink(1))
    assert difference(whole, lr) < 0.5 < difference(plain, lr)
    assert difference(tiled, lr) < 1 and (whole - tiled).abs().max() < 1 / 255
