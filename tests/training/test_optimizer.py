from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from srspace.config import TrainConfig
from srspace.training.optimizer import Optimizer

CONFIG = TrainConfig(clip_norm=1e9)


def network() -> torch.nn.Sequential:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.Conv2d(4, 2, 3)).to(memory_format=torch.channels_last)


def step(optimizer: Optimizer, loss: torch.Tensor) -> float:
    optimizer.clear()
    optimizer.add_gradient(loss)
    return optimizer.update().item()


def test_updates_are_those_of_adam():
    ours, theirs = network(), network()
    optimizer = Optimizer(ours, CONFIG, {})
    adam = torch.optim.Adam(theirs.parameters(), lr=1e-2, betas=CONFIG.betas)
    optimizer.set_learning_rate(1e-2)
    for _ in range(4):
        x = torch.rand(2, 3, 8, 8)
        step(optimizer, ours(x).square().mean())
        adam.zero_grad()
        theirs(x).square().mean().backward()
        adam.step()
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-6)


def test_long_gradients_are_shortened():
    net = network()
    x = torch.rand(2, 3, 8, 8)
    free = Optimizer(net, CONFIG, {})
    norm = step(free, 100 * net(x).square().mean())
    short = Optimizer(net, replace(CONFIG, clip_norm=0.5), {})
    assert step(short, 100 * net(x).square().mean()) == pytest.approx(norm, rel=1e-4) and norm > 1
    assert short.gradient.norm().item() == pytest.approx(0.5, rel=1e-4)
    assert torch.allclose(short.gradient * norm / 0.5, free.gradient, rtol=1e-3, atol=1e-4)


def test_gradients_that_are_not_finite_change_nothing():
    net = network()
    optimizer = Optimizer(net, CONFIG, {})
    optimizer.set_learning_rate(1e-2)
    x = torch.rand(2, 3, 8, 8)
    step(optimizer, net(x).square().mean())
    before = [p.detach().clone() for p in net.parameters()]
    moments = optimizer.state_dict()["state"][0]["exp_avg"].clone()
    step(optimizer, net(x).square().mean() * float("inf"))
    assert all(torch.equal(a, b) for a, b in zip(before, net.parameters(), strict=True))
    assert torch.equal(optimizer.state_dict()["state"][0]["exp_avg"], moments)
    assert optimizer.skipped.item() == 1
    step(optimizer, net(x).square().mean())
    assert not torch.equal(before[0], next(net.parameters()))


def test_rates_are_factors_by_name():
    net = network()
    optimizer = Optimizer(net, CONFIG, {"0.": 0.25})
    before = [p.detach().clone() for p in net.parameters()]
    optimizer.set_learning_rate(1e-2)
    step(optimizer, net(torch.rand(2, 3, 8, 8)).square().mean())
    moved = [(a - b).abs().max().item() for a, b in zip(before, net.parameters(), strict=True)]
    # The first step of Adam is as long as its rate.
    assert moved == pytest.approx([0.25e-2, 0.25e-2, 1e-2, 1e-2], rel=1e-2)


def test_frozen_parameters_stay_and_unused_ones_do_no_harm():
    net = network()
    net[0].requires_grad_(False)
    optimizer = Optimizer(net, CONFIG, {})
    assert len(optimizer.parameters) == 2
    optimizer.set_learning_rate(1e-2)
    before = net[1].bias.detach().clone()
    step(optimizer, net[1].weight.square().sum())
    assert torch.equal(net[1].bias, before)
    net.requires_grad_(False)
    with pytest.raises(ValueError, match="no parameters"):
        Optimizer(net, CONFIG, {})
