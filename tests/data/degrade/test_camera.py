from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from srspace.data.degrade import kinds
from srspace.data.degrade.colour import to_linear, to_srgb

camera = kinds()["camera"]
NOISELESS = {"full_well": 1e12, "read_noise": 0.0}


def test_white_balance_and_interpolation_keep_a_flat_colour():
    light = torch.tensor([0.4, 0.3, 0.2]).view(1, 3, 1, 1).expand(2, 3, 24, 30)
    for phase in range(4):
        shot = camera(light, **NOISELESS, red_gain=2.0, blue_gain=1.5, phase=phase)
        assert (shot - light).abs().max() < 1e-4


@pytest.mark.parametrize("phase", range(4))
def test_interpolation_is_bilinear(small: Tensor, phase: int):
    """Against the mean of the nearest pixels of each colour, pixel by pixel."""
    light = to_linear(small[:1, :, :20, :24])
    shot = camera(light, **NOISELESS, red_gain=1.0, blue_gain=1.0, phase=phase, softness=0.0)[0].numpy()
    raw, (height, width) = light[0].numpy(), light.shape[-2:]

    def colour(y: int, x: int) -> int:
        row, column = (y + phase // 2) % 2, (x + phase % 2) % 2
        return 1 if row != column else 2 * row

    for y in range(1, height - 1):
        for x in range(1, width - 1):
            for channel in range(3):
                near = [(0, 0)] if colour(y, x) == channel else [(-1, 0), (1, 0), (0, -1), (0, 1)]
                found = [raw[channel, y + b, x + a] for b, a in near if colour(y + b, x + a) == channel]
                if not found:
                    corners = [(-1, -1), (-1, 1), (1, -1), (1, 1)]
                    found = [raw[channel, y + b, x + a] for b, a in corners if colour(y + b, x + a) == channel]
                assert shot[channel, y, x] == pytest.approx(np.mean(found), abs=1e-4)


def test_softness_blurs_green(small: Tensor):
    light = to_linear(small)
    sharp, soft = (
        camera(light, **NOISELESS, red_gain=1.0, blue_gain=1.0, phase=0, softness=softness) for softness in (0.0, 1.0)
    )
    assert torch.allclose(sharp[:, ::2], soft[:, ::2], atol=1e-4)
    assert soft[:, 1].diff().abs().mean() < 0.8 * sharp[:, 1].diff().abs().mean()


def test_noise_is_that_of_photons_and_reading():
    for level, full_well, read in ((0.5, 1000.0, 0.0), (0.05, 1000.0, 6.0)):
        light = torch.full((1, 3, 200, 200), level)
        shot = camera(light, full_well=full_well, read_noise=read, red_gain=1.0, blue_gain=1.0, phase=0, softness=0.0)
        at_green = shot[0, 1, 0::2, 1::2]
        expected = (level * full_well + read**2) ** 0.5 / full_well
        assert at_green.std() == pytest.approx(expected, rel=0.03)
        assert at_green.mean() == pytest.approx(level, rel=0.02)


def test_weak_channels_are_noisier():
    light = torch.full((1, 3, 200, 200), 0.4)
    shot = camera(light, full_well=2000, read_noise=0.0, red_gain=2.25, blue_gain=1.0, phase=0, softness=0.0)
    assert shot[0, 0, ::2, ::2].std() / shot[0, 2, 1::2, 1::2].std() == pytest.approx(1.5, rel=0.05)


def test_srgb_there_and_back():
    values = torch.linspace(0, 1, 256).view(1, 1, 16, 16)
    assert torch.allclose(to_srgb(to_linear(values)), values, atol=1e-5)
    assert to_linear(torch.tensor(0.5)).item() == pytest.approx(0.2140, abs=1e-4)
