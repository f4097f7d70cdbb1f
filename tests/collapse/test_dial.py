from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from srspace import Upscaler, modes
from srspace.collapse.dial import make
from srspace.config import DialConfig, SamplingConfig
from srspace.errors import UsageError
from srspace.models import DialFusion, SRFlow
from srspace.training.candidates import Drawn
from srspace.training.dial import inputs
from tests.models.test_dial import network, parts


def tile(count: int = 1) -> SimpleNamespace:
    _, _, _, regression, features, lr = (part[0] for part in parts())
    return SimpleNamespace(lr=lr, regression=regression, features=features)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_the_sink_gives_the_network_what_training_gave_it(count: int):
    torch.manual_seed(1)
    dial, given, candidates = network(), tile(), torch.rand(count, 3, 24, 20)
    sink = make(count, given, dial, 0.7)
    for first in range(0, count, 2):
        chosen = list(range(first, min(first + 2, count)))
        sink.add(chosen, candidates[chosen])
    drawn = Drawn(candidates[None], given.regression[None], given.features[None])
    expected = dial(*inputs(drawn, given.lr[None], torch.tensor([count])), torch.tensor([0.7]))[0].clamp(0, 1)
    assert (sink.result() - expected).abs().max() < 1e-5


def test_replacements_take_the_place_of_zeros():
    torch.manual_seed(1)
    dial, given, candidates = network(), tile(), torch.rand(3, 3, 24, 20)
    undisturbed, disturbed = make(3, given, dial, 1.0), make(3, given, dial, 1.0)
    undisturbed.add([0, 1, 2], candidates)
    holes = candidates.clone()
    holes[:2] = 0
    disturbed.add([0, 1, 2], holes)
    disturbed.add([0], candidates[:1])
    disturbed.add([1], candidates[1:2])
    assert torch.allclose(undisturbed.result(), disturbed.result(), atol=1e-6)


def test_another_network_is_refused():
    with pytest.raises(UsageError, match="with a dial"):
        make(2, tile(), torch.nn.Identity(), 0.5)


def test_the_mode_in_tiles_and_at_both_ends(model: SRFlow):
    torch.manual_seed(0)
    dial = DialFusion(DialConfig(features=8 * 3, channels=8, blocks=1, embedding=4))
    upscaler = Upscaler(model, {"dial": dial}, device="cpu")
    lr = torch.nn.functional.interpolate(torch.rand(1, 3, 8, 10), size=(40, 50), mode="bicubic")[0].clamp(0, 1)

    def at(balance: float, tile: int = 0, n: int = 2) -> torch.Tensor:
        return upscaler.collapse(lr, mode="dial", sampling=SamplingConfig(samples=n, tile=tile), balance=balance)[0]

    regression, _ = upscaler.collapse(lr, mode="rrdb")
    lead, _ = upscaler.collapse(lr, mode="sample")
    assert torch.allclose(at(0.0), regression, atol=1e-6)
    assert torch.allclose(at(1.0, n=1), lead, atol=1e-5)
    assert (at(0.6, tile=20) - at(0.6)).abs().max() < 1 / 255
    assert modes.find("dial").count(None) == 1
    with pytest.raises(UsageError, match="between 0 and 1"):
        at(1.5)
