from __future__ import annotations

import pytest
import torch
from torch import Tensor

from srspace.data.degrade import kinds
from srspace.data.degrade.colour import luma
from srspace.data.degrade.noise import COLOURS

noise = kinds()["noise"]
GREY = torch.full((2, 3, 96, 96), 0.5)


def added(images: Tensor, strength: float, colour: str, smooth: float = 0.0, signal: float = 0.0) -> Tensor:
    noisy = noise(images, strength=strength, colour=COLOURS.index(colour), smooth=smooth, signal=signal)
    return (noisy - images) * 255


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("smooth", [0.0, 0.6, 1.5])
@pytest.mark.parametrize("strength", [2.0, 12.0])
def test_strength_is_the_standard_deviation(colour: str, smooth: float, strength: float):
    assert added(GREY, strength, colour, smooth).std() == pytest.approx(strength, rel=0.08)


def test_colours():
    channels = added(GREY, 8, "per channel").movedim(1, 0).flatten(1)
    assert torch.corrcoef(channels).triu(1).abs().max() < 0.05
    grey = added(GREY, 8, "grey")
    assert (grey - grey.mean(1, keepdim=True)).abs().max() < 0.01
    assert luma(added(GREY, 8, "chroma")).abs().max() < 0.01


def test_smooth_noise_has_blotches():
    """Neighbours correlate as after a Gaussian blur: exp(-1 / (4 size^2))."""
    field = added(GREY, 8, "per channel", smooth=1.2)
    pairs = torch.stack((field[..., 1:].flatten(), field[..., :-1].flatten()))
    assert torch.corrcoef(pairs)[0, 1] == pytest.approx(2.718 ** (-1 / (4 * 1.2**2)), abs=0.03)
    pairs = torch.stack((field[..., 1:, :].flatten(), field[..., :-1, :].flatten()))
    assert torch.corrcoef(pairs)[0, 1] == pytest.approx(2.718 ** (-1 / (4 * 1.2**2)), abs=0.03)


def test_photon_noise_grows_with_brightness():
    dark, bright = (added(torch.full_like(GREY, level), 6, "per channel", signal=1.0).std() for level in (0.2, 0.8))
    assert bright / dark == pytest.approx(2, rel=0.06)
    assert added(GREY, 6, "per channel", signal=1.0).std() == pytest.approx(6, rel=0.05)
