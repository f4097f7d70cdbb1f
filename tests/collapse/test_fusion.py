from __future__ import annotations

import pytest
import torch

from srspace.collapse import fusion
from srspace.config import FusionConfig
from srspace.errors import StackSizeError
from srspace.models import FusionNet


@pytest.fixture
def network() -> FusionNet:
    torch.manual_seed(0)
    network = FusionNet(FusionConfig(samples=2, channels=8))
    torch.nn.init.normal_(network.tail.weight, std=0.1)
    return network.requires_grad_(False)


@pytest.fixture
def stack() -> torch.Tensor:
    torch.manual_seed(0)
    return torch.rand(2, 3, 40, 50)


@pytest.mark.parametrize("side", [16, 17])
def test_it_is_the_same_in_tiles(network: FusionNet, stack: torch.Tensor, side: int, monkeypatch: pytest.MonkeyPatch):
    whole = fusion.fuse(network, stack)
    monkeypatch.setattr(fusion, "_TILE", side)
    assert torch.allclose(fusion.fuse(network, stack), whole, atol=1e-5)
    inner = (slice(None), slice(6, -6), slice(6, -6))
    assert network.radius == 6
    assert torch.allclose(whole[inner], network(stack[None])[0].clamp(0, 1)[inner], atol=1e-5)


def test_beyond_the_border_the_picture_is_mirrored(network: FusionNet, stack: torch.Tensor):
    mirrored = torch.nn.functional.pad(stack, (6, 6, 6, 6), mode="reflect")
    expected = network(mirrored[None])[0, :, 6:-6, 6:-6].clamp(0, 1)
    assert torch.allclose(fusion.fuse(network, stack), expected, atol=1e-5)
    assert fusion.fuse(network, stack[:, :, :1, :3]).shape == (3, 1, 3)


def test_several_stacks_are_merged_and_averaged(network: FusionNet):
    stack = torch.rand(6, 3, 9, 8)
    parts = torch.stack([fusion.fuse(network, stack[k : k + 2]) for k in (0, 2, 4)])
    assert torch.allclose(fusion.fuse(network, stack), parts.mean(0), atol=1e-6)
    with pytest.raises(StackSizeError) as caught:
        fusion.fuse(network, stack[:3])
    assert caught.value.size == 2


def test_the_sink_needs_a_fusion_network(network: FusionNet, stack: torch.Tensor):
    sink = fusion.make(2, None, network)
    sink.add([0, 1], stack)
    assert torch.equal(sink.result(), fusion.fuse(network, stack))
    with pytest.raises(TypeError, match="fusion network"):
        fusion.make(2, None, torch.nn.Identity())
