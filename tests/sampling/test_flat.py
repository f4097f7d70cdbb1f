from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from srspace.config import SamplingConfig
from srspace.modes import find
from srspace.sampling import Sampler
from srspace.sampling.flat import flat_parts
from tests.toy import ToyModel, smooth

CPU = torch.device("cpu")


def test_flat_parts_are_found_with_soft_edges():
    lr = smooth(20, 30)
    assert flat_parts(lr[None], 4, CPU) is None
    lr[:, 5:15, 8:20] = 0.5
    masks = flat_parts(torch.stack((smooth(20, 30), lr)), 4, CPU)
    assert masks is not None and masks.shape == (2, 1, 80, 120) and not masks[0].any()
    mask = masks[1]
    assert (mask[:, 4 * 9 : 4 * 11, 4 * 12 : 4 * 16] == 1).all()
    assert (mask[:, : 4 * 6] == 0).all() and (mask[..., 4 * 20 :] == 0).all()
    assert ((mask > 0) & (mask < 1)).any()


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 9), (3, 3), (40, 31)])
def test_they_are_the_parts_where_the_smallest_and_the_largest_value_all_around_are_the_same(height: int, width: int):
    lr = torch.rand(2, 3, height, width).round()
    lr[:, 1:] = 0.5
    lr[1, :, 6:, 4:20] = 0.25
    padded = F.pad(lr, (2,) * 4, mode="replicate")
    flat = (F.max_pool2d(padded, 5, 1) == -F.max_pool2d(-padded, 5, 1)).all(1, keepdim=True)
    found = flat_parts(lr, 1, CPU)
    expected = F.avg_pool2d(flat.float(), 3, 1, 1, count_include_pad=False)
    assert (torch.zeros_like(expected) if found is None else found).equal(expected)


@pytest.mark.parametrize("axis", [1, 2])
def test_stripes_are_not_flat(axis: int):
    stripes = torch.linspace(0, 1, 16).unsqueeze(2 - axis).expand(3, 16, 16)
    assert flat_parts(stripes[None], 4, CPU) is None


@pytest.mark.parametrize("channel", [0, 1, 2])
def test_one_channel_that_changes_is_enough(channel: int):
    lr = torch.full((3, 16, 16), 0.5)
    lr[channel, 8, 8] += 1 / 255
    mask = flat_parts(lr[None], 4, CPU)
    assert mask is not None and mask[0, 0, 34, 34] == 0 and mask[0, 0, 4, 4] == 1


def test_candidates_of_a_flat_picture_are_the_encoders_output():
    model, lr = ToyModel(), torch.full((3, 16, 16), 0.25)
    out = Sampler(model, lr, SamplingConfig(samples=1)).collapse(find("sample").sink(1))
    assert torch.allclose(out, torch.full_like(out, 0.25), atol=1e-6)
    textured = Sampler(model, smooth(16, 16), SamplingConfig(samples=1)).collapse(find("sample").sink(1))
    assert textured.std() > 0.01
