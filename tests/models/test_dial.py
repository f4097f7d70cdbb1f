from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

import srspace
from srspace.checkpoints import save_model
from srspace.config import DialConfig
from srspace.errors import CheckpointError
from srspace.models import DialFusion

SIZES = DialConfig(features=8, channels=8, blocks=2, embedding=4)


def network(seed: int = 0, *, fresh: bool = False) -> DialFusion:
    torch.manual_seed(seed)
    dial = DialFusion(SIZES)
    if not fresh:
        with torch.no_grad():
            for parameter in dial.parameters():
                parameter.add_(0.05 * torch.randn_like(parameter))
    return dial.eval().requires_grad_(False)


def parts(height: int = 6, width: int = 5, batch: int = 2) -> list[Tensor]:
    torch.manual_seed(3)
    high = [torch.rand(batch, 3, 4 * height, 4 * width) for _ in range(4)]
    return [*high, torch.rand(batch, 8, height, width), torch.rand(batch, 3, height, width)]


def test_a_fresh_network_goes_from_the_regression_to_the_lead():
    lead, mean, deviation, regression, features, lr = parts()
    balance = torch.tensor([0.0, 1.0])
    out = network(fresh=True)(lead, mean, deviation, regression, features, lr, balance)
    assert torch.allclose(out[0], regression[0]) and torch.allclose(out[1], lead[1], atol=1e-6)


def test_every_input_and_the_balance_matter():
    dial, given = network(), parts()
    balance = torch.full((2,), 0.5)
    before = dial(*given, balance)
    for i, part in enumerate(given):
        changed = [*given[:i], part + 0.1, *given[i + 1 :]]
        assert (dial(*changed, balance) - before).abs().max() > 1e-4, i
    assert (dial(*given, balance + 0.4) - before).abs().max() > 1e-4


def test_each_image_has_a_balance_of_its_own():
    dial, given = network(), parts()
    together = dial(*given, torch.tensor([0.2, 0.9]))
    for i, balance in enumerate((0.2, 0.9)):
        alone = dial(*(part[i : i + 1] for part in given), torch.tensor([balance]))
        assert torch.allclose(together[i : i + 1], alone, atol=1e-5)


def test_balance_1_may_stand_for_less_than_the_network_was_trained_for():
    dial, given = network(), parts()
    expected = dial(*given, torch.tensor([0.8, 0.4]))
    dial.config = replace(dial.config, natural_end=0.8)
    assert torch.allclose(dial(*given, torch.tensor([1.0, 0.5])), expected, atol=1e-6)


@pytest.mark.parametrize("end", [0.0, 1.1])
def test_the_natural_end_is_on_the_dial(end: float):
    with pytest.raises(ValueError, match="natural_end"):
        replace(SIZES, natural_end=end)


def test_nothing_matters_beyond_the_radius():
    dial, given = network(), parts(height=30, width=4, batch=1)
    before = dial(*given, torch.tensor([1.0]))
    given[4] = given[4].clone()
    given[4][:, :, 0] += 1
    changed = (dial(*given, torch.tensor([1.0])) - before).abs().amax((0, 1, 3)) > 0
    assert 4 * dial.radius <= 4 * 30 and not changed[4 * (dial.radius + 1) :].any() and changed[0]


def test_it_is_saved_and_loaded(tmp_path: Path):
    config = save_model(tmp_path, network())
    assert config["kind"] == "dial-fusion"
    loaded = srspace.load_fusion(tmp_path)
    assert isinstance(loaded, DialFusion) and loaded.config == SIZES
    given, balance = parts(), torch.tensor([0.3, 0.6])
    assert torch.equal(loaded(*given, balance), network()(*given, balance))
    with pytest.raises(CheckpointError, match="kind dial-fusion"):
        srspace.load_flow(tmp_path)
