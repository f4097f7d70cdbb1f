from __future__ import annotations

import pytest
import torch

from srspace.config import AssessorConfig
from srspace.models import Assessor


@pytest.fixture
def network() -> Assessor:
    torch.manual_seed(0)
    return Assessor(AssessorConfig(filters=4, channels=6)).eval().requires_grad_(False)


def test_each_crop_is_a_picture_of_its_own_unless_told_otherwise(network: Assessor):
    crops = torch.rand(6, 3, 24, 40) * 255
    assert [found.shape for found in network(crops)] == [(6,)] * 5
    one, two = network(crops[:3], pictures=1), network(crops[3:], pictures=1)
    both = network(crops, pictures=2)
    for found, first, second in zip(both, one, two, strict=True):
        assert torch.allclose(found, torch.cat([first, second]), atol=1e-5)


def test_what_a_picture_shows_does_not_matter_as_far_as_it_is_flat(network: Assessor):
    crops = torch.rand(2, 3, 32, 32) * 20
    for found, brighter in zip(network(crops), network(crops + 200), strict=True):
        assert torch.allclose(found, brighter, atol=1e-3)


def test_places_without_a_weight_have_no_say_and_a_picture_that_tells_nothing_gets_the_constant_opinion(
    network: Assessor,
):
    network.prior.copy_(torch.arange(5.0))
    network.tail.weight.zero_()
    network.tail.bias.copy_(torch.tensor([-30.0, 7.0, 7.0, 7.0, 7.0, 7.0]))
    found = network(torch.rand(3, 3, 24, 24) * 255, pictures=1)
    assert torch.allclose(torch.cat(found), torch.arange(5.0), atol=1e-4)
    network.tail.bias[0] = 30.0
    found = network(torch.rand(3, 3, 24, 24) * 255, pictures=1)
    assert torch.allclose(torch.cat(found), torch.full((5,), 7.0), atol=0.05)
