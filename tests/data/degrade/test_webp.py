from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import Tensor

from srspace.data.degrade import kinds
from tests.data.degrade.conftest import likeness, through_codec

webp = kinds()["webp"]


def bands(error: Tensor) -> Tensor:
    """Power of an error in four bands of frequency, low to high."""
    power = torch.fft.fft2(error).abs().square().mean((0, 1))
    vertical, horizontal = (torch.fft.fftfreq(side) for side in error.shape[-2:])
    radius = (vertical[:, None].square() + horizontal.square()).sqrt()
    edges = (0, 0.08, 0.2, 0.35, 0.71)
    return torch.stack([power[(radius >= low) & (radius < high)].sum() for low, high in pairwise(edges)])


@pytest.mark.parametrize("quality", [30, 50, 75, 90])
def test_damage_is_as_strong_and_of_the_same_spectrum_as_libwebps(photographs: Tensor, small: Tensor, quality: int):
    for images in (photographs, small):
        real = through_codec(images, "WEBP", quality=quality) - images
        ours = webp(images, quality=quality, top=0, left=0) - images
        strength = (ours.square().mean() / real.square().mean()).sqrt()
        assert 0.87 < strength < 1.1
        assert likeness(ours, real) > 0.45
        ratio = bands(ours) / bands(real)
        assert ratio.min() > 0.65 and ratio.max() < 1.3


def test_block_edges_are_smoothed_as_libwebp_does(photographs: Tensor):
    """Jumps across the edges of 4x4 blocks, by those inside of blocks."""

    def blockiness(images: Tensor) -> float:
        jumps = images.diff(dim=-1).abs()
        at_edges = jumps[..., 3::4].mean()
        return (at_edges / ((jumps[..., 0::4].mean() + jumps[..., 1::4].mean() + jumps[..., 2::4].mean()) / 3)).item()

    real = blockiness(through_codec(photographs, "WEBP", quality=30))
    ours = blockiness(webp(photographs, quality=30, top=0, left=0))
    assert ours == pytest.approx(real, abs=0.1)


def test_flat_areas_stay_flat_and_blocks_are_placed_anywhere(small: Tensor):
    flat = torch.full((2, 3, 40, 40), 100 / 255)
    assert (webp(flat, quality=20) - flat).abs().max() * 255 <= 2
    first = webp(small, quality=40, top=0, left=0)
    assert not torch.equal(first, webp(small, quality=40, top=2, left=7))
    assert torch.equal((first * 255).round() / 255, first)
