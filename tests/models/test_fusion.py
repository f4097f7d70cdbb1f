from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from srspace.checkpoints import load_fusion
from srspace.config import FusionConfig
from srspace.errors import StackSizeError
from srspace.models import FusionNet, SetFusionNet, prepared


def test_fresh_fusion_network_gives_the_ensemble_mean():
    stack = torch.rand(1, 10, 3, 8, 8)
    assert torch.allclose(FusionNet(FusionConfig())(stack), stack.mean(1))


def set_network() -> SetFusionNet:
    torch.manual_seed(0)
    network = SetFusionNet(FusionConfig(samples=None, channels=8, blocks=1, embedding=4)).eval()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return network


def test_set_fusion_starts_at_the_ensemble_mean():
    stack = torch.rand(2, 5, 3, 12, 9)
    fresh = SetFusionNet(FusionConfig(samples=None, channels=8, blocks=1, embedding=4))
    assert torch.allclose(fresh(stack), stack.mean(1), atol=1e-6)


@pytest.mark.parametrize("samples", [None, 3])
def test_a_gain_draws_the_result_towards_the_ensemble_mean(samples: int | None):
    torch.manual_seed(0)
    full = FusionConfig(samples=samples, channels=8, blocks=1, embedding=4)
    kind = SetFusionNet if samples is None else FusionNet
    network, drawn = kind(full), kind(replace(full, gain=0.25))
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    drawn.load_state_dict(network.state_dict())
    stack = torch.rand(1, 3, 3, 9, 8)
    mean = stack.mean(1)
    assert (network(stack) - mean).abs().max() > 0.05
    assert torch.allclose(drawn(stack) - mean, 0.25 * (network(stack) - mean), atol=1e-6)
    with pytest.raises(ValueError, match="gain"):
        replace(full, gain=1.5)
    with pytest.raises(ValueError, match="gain"):
        replace(full, gain=0.5, residual=False)


@pytest.mark.parametrize("count", [1, 2, 7])
def test_set_fusion_takes_any_number_in_any_order(count: int):
    network, stack = set_network(), torch.rand(2, count, 3, 12, 9)
    fused = network(stack)
    assert fused.shape == (2, 3, 12, 9)
    assert torch.allclose(network(stack[:, torch.randperm(count)]), fused, atol=1e-5)
    with torch.no_grad():
        assert torch.allclose(network(stack), fused, atol=1e-5)
    fused.sum().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in network.parameters())


def test_set_fusion_sees_no_further_than_its_radius():
    network = set_network()
    stack = torch.rand(1, 3, 3, 41, 41, requires_grad=True)
    network(stack)[..., 20, 20].sum().backward()
    rows = stack.grad.abs().sum((0, 1, 2, 4)).nonzero()
    assert 20 - rows.min() == rows.max() - 20 == network.radius
    with pytest.raises(ValueError, match="expected"):
        network(torch.rand(1, 3, 8, 8))


@pytest.mark.parametrize("name", ["fusion-lpips-x4-lite", "fusion-l1-x4-lite", "fusion-lpips-stack-x4-lite"])
def test_a_prepared_fusion_network_is_a_copy_and_rounds_little(name: str):
    network = load_fusion(Path(__file__).parents[2] / "weights" / name)
    torch.manual_seed(0)
    scene = F.interpolate(torch.rand(1, 3, 12, 12), scale_factor=8, mode="bicubic").clamp(0, 1)
    stack = (scene[:, None] + 0.04 * torch.randn(1, 10, 3, 96, 96)).clamp(0, 1)
    device = torch.device("cpu")
    with torch.no_grad():
        reference = network(stack)
        same = prepared(network, device, torch.float32)(stack)
        rounded = prepared(network, device, torch.bfloat16)(stack)
    assert rounded.dtype == torch.float32 and network.head.weight.dtype == torch.float32
    assert torch.allclose(same, reference, atol=1e-5)
    assert ((rounded - reference).abs() <= 2 / 255).float().mean() >= 0.999
    assert (reference - stack.mean(1)).abs().mean() > 0.5 / 255  # there is something to round


def test_stacks_of_a_fixed_size_must_be_full():
    paper, any_number = FusionNet(FusionConfig(samples=5)), set_network()
    paper.check(10)
    any_number.check(7)
    with pytest.raises(StackSizeError, match="stacks of 5") as caught:
        paper.check(7)
    assert caught.value.size == 5
    with pytest.raises(ValueError, match="expected"):
        paper(torch.rand(1, 9, 3, 8, 8))
