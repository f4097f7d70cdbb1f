from __future__ import annotations

import pytest
import torch

from srspace.config import AssessorConfig
from srspace.models import Assessor
from srspace.models.statistics import COUNT


@pytest.fixture
def network() -> Assessor:
    torch.manual_seed(0)
    return Assessor(AssessorConfig(width=6)).eval().requires_grad_(False)


def test_each_crop_is_a_picture_of_its_own_unless_told_otherwise(network: Assessor):
    crops = torch.rand(6, 3, 24, 40) * 255
    assert [found.shape for found in network(crops)] == [(6,)] * 5
    one, two = network(crops[:3], pictures=1), network(crops[3:], pictures=1)
    both = network(crops, pictures=2)
    for found, first, second in zip(both, one, two, strict=True):
        assert torch.allclose(found, torch.cat([first, second]), atol=1e-5)


def test_the_usual_values_of_statistics_are_taken_from_examples(network: Assessor):
    examples = torch.randn(50, COUNT) * 3 + 7
    network.normalize(examples)
    usual = (examples - network.centre) / network.spread
    assert usual.mean(0).abs().max() < 1e-4 and (usual.std(0) - 1).abs().max() < 1e-2
    far = network.judge(examples[:4, None] + 1e6)
    for found, farther in zip(far, network.judge(examples[:4, None] + 1e7), strict=True):
        assert torch.equal(found, farther), "one strange statistic must not decide alone"


def test_crops_without_a_weight_have_no_say_and_a_picture_that_tells_nothing_gets_the_constant_opinion(
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
