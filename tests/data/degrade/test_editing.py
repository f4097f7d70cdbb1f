"""Sharpening, old photographs, palettes, halftones."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter
from scipy import ndimage
from torch import Tensor

from srspace.data.degrade import kinds
from srspace.data.degrade.colour import luma
from tests.data.degrade.conftest import from_pillow, likeness

KINDS = kinds()


@pytest.mark.parametrize(("radius", "amount"), [(1.0, 0.9), (2.0, 0.7), (1.5, 1.6)])
def test_unsharp_mask_equals_its_formula_and_nearly_pillows(small: Tensor, radius: float, amount: float):
    ours = KINDS["sharpen"](small, radius=radius, amount=amount)
    exact = small.double().numpy()
    low = ndimage.gaussian_filter(exact, (0, 0, radius, radius), mode="reflect", truncate=6)
    assert (ours - torch.from_numpy(np.clip(exact + amount * (exact - low), 0, 1))).abs().max() * 255 < 0.2
    mask = ImageFilter.UnsharpMask(radius, round(amount * 100), 0)
    pillows = []
    for image in small:
        levels = (image * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
        pillows.append(from_pillow(Image.fromarray(levels).filter(mask)))
    assert likeness(ours - small, torch.stack(pillows) - small) > 0.97


def test_old_photo_does_nothing_at_zero_and_each_of_its_parts(small: Tensor):
    old = KINDS["old_photo"]
    none = {"grain": 0.0, "grain_size": 0.5, "fading": 0.0, "scratches": 0.0}
    assert torch.equal(old(small, **none), small)

    grey = torch.full((4, 3, 64, 64), 0.5)
    grain = old(grey, **none | {"grain": 8.0}) - grey
    assert grain.std() * 255 == pytest.approx(8, rel=0.08)
    assert (grain - grain.mean(1, keepdim=True)).abs().max() < 1e-5
    dark = torch.full_like(grey, 0.05)
    assert (old(dark, **none | {"grain": 8.0}) - dark).std() < 0.6 * grain.std()

    faded = old(small, **none | {"fading": 0.5})
    saturation = [(images - luma(images)).abs().mean() for images in (small, faded)]
    assert saturation[1] < 0.6 * saturation[0]
    assert luma(faded).std() == pytest.approx(0.75 * luma(small).std().item(), rel=0.02)

    scratched = old(grey, **none | {"scratches": 0.3}) - grey
    assert scratched.max() > 0.15
    touched = (scratched[:, 0] > 0.05).float().mean((1, 2))
    assert 0 < touched.max() < 0.12


def test_palette_has_so_many_colours_and_is_near(small: Tensor):
    bright = torch.rand_like(small).sqrt()
    assert len(KINDS["palette"](bright, colours=4, dither=0.0)[0].flatten(1).unique(dim=1)[0]) <= 4
    for colours in (8, 64, 256):
        few = KINDS["palette"](small, colours=colours, dither=0.0)
        for image, original in zip(few, small, strict=True):
            assert len(image.flatten(1).unique(dim=1)[0]) <= colours
            if colours == 256:
                assert (image - original).abs().mean() * 255 < 8


def test_dithering_keeps_the_local_mean():
    ramp = torch.linspace(0.3, 0.7, 64).expand(1, 3, 64, 64)
    two = torch.cat((torch.zeros(1, 3, 64, 32), torch.ones(1, 3, 64, 32)), -1)
    images = torch.cat((ramp, two), -2)  # the second half gives the palette its two colours
    plain, dithered = (KINDS["palette"](images, colours=256, dither=dither) for dither in (0.0, 0.3))
    assert (plain - images).abs().mean() * 255 < 3

    def patterned(x: Tensor) -> float:
        return x[..., :64, :].diff(dim=-2).abs().mean().item()

    assert patterned(dithered) > 5 * patterned(plain)


def test_halftone_has_its_period_and_keeps_the_mean(photographs: Tensor):
    halftone = KINDS["halftone"]
    assert torch.equal(halftone(photographs, period=5.0, angle=0.0, strength=0.0), photographs)
    grey = torch.full((1, 3, 128, 128), 0.5)
    dots = halftone(grey, period=8.0, angle=0.0, strength=1.0)
    assert dots.mean() == pytest.approx(0.5, abs=0.02)
    power = torch.fft.rfft(dots[0, 2] - dots[0, 2].mean(), dim=-1).abs().mean(0)  # this screen lies straight
    assert power[1:].argmax() + 1 == 128 // 8
    for level in (0.25, 0.75):
        printed = halftone(torch.full_like(grey, level), period=8.0, angle=0.3, strength=1.0).mean()
        assert abs(printed - level) < 0.12


def test_screens_of_one_angle_print_grey_in_grey():
    grey = torch.full((1, 3, 64, 64), 0.4)
    black = KINDS["halftone"](grey, period=6.0, angle=0.5, strength=1.0, one_angle=True)
    assert torch.equal(black[:, 0], black[:, 1]) and torch.equal(black[:, 0], black[:, 2])
    colours = KINDS["halftone"](grey, period=6.0, angle=0.5, strength=1.0, one_angle=False)
    assert torch.equal(colours[:, 2], black[:, 2]) and (colours[:, 0] - colours[:, 1]).abs().mean() > 0.1
