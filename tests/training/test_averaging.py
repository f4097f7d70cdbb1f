from __future__ import annotations

import pytest
import torch

from srspace.training.averaging import WeightAverage


def test_the_average_follows_the_weights_by_its_decay():
    parameter = torch.nn.Parameter(torch.tensor([1.0]))
    average = WeightAverage([parameter], 0.75)
    expected = 1.0
    for iteration, value in enumerate((2.0, 4.0, 8.0)):
        parameter.data.fill_(value)
        average.set_iteration(iteration + 50)
        average.update()
        expected = 0.75 * expected + 0.25 * value
        assert average.values[0].item() == pytest.approx(expected)
    assert parameter.item() == 8.0


def test_the_first_weights_are_soon_forgotten():
    parameter = torch.nn.Parameter(torch.tensor([1.0]))
    average = WeightAverage([parameter], 0.999)
    parameter.data.fill_(11.0)
    average.set_iteration(0)
    average.update()
    assert average.values[0].item() == pytest.approx(0.1 * 1 + 0.9 * 11)


def test_the_average_stands_in_for_the_weights_and_leaves_them_as_they_were():
    parameter = torch.nn.Parameter(torch.tensor([1.0]))
    average = WeightAverage([parameter], 0.5)
    parameter.data.fill_(3.0)
    version = parameter._version
    with pytest.raises(KeyError), average.in_place():
        assert parameter.item() == 1.0
        # Whoever caches by version counters must notice.
        assert parameter._version > version
        raise KeyError
    assert parameter.item() == 3.0
