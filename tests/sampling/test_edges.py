from __future__ import annotations

import pytest
import torch

from srspace import Upscaler
from srspace.config import SamplingConfig
from srspace.models import SRFlow
from srspace.sampling.edges import STRIP, Strips
from srspace.sampling.tiles import plan_tiles


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (3, 2), (7, 40)])
@pytest.mark.parametrize("scale", [1, 2, 4])
def test_strips_are_mirrored_and_removed(size: tuple[int, int], scale: int):
    height, width = size
    image = torch.rand(2, 3, height * scale, width * scale)
    (tile,) = plan_tiles(height, width, 0)
    strips = Strips.around(tile, height, width)
    grown = strips.added(image, scale)
    assert grown.shape[-2:] == ((height + 2 * STRIP) * scale, (width + 2 * STRIP) * scale)
    assert torch.equal(strips.removed(grown, scale), image)
    near, edge = STRIP * scale - 1, STRIP * scale
    assert torch.equal(grown[..., near, :], grown[..., edge, :])
    twice = torch.nn.functional.pad(image, (0, 0, 0, 0))
    if height * scale > 1:
        assert torch.equal(grown[..., near - 1, edge : edge + width * scale], twice[..., 1, :])


def test_only_edges_of_the_picture_are_continued():
    strips = [Strips.around(tile, 200, 90) for tile in plan_tiles(200, 90, 60)]
    assert all(s.left == STRIP for s in strips[::2]) and all(s.right == STRIP for s in strips[1::2])
    assert [s.top for s in strips[:2]] == [STRIP] * 2 and not any(s.top for s in strips[2:])
    assert not any(s.bottom for s in strips[:-2])


def test_a_shift_of_the_picture_shifts_the_result(model: SRFlow):
    """Without strips the first and the last columns would come out otherwise than those within."""
    upscaler = Upscaler(model, device="cpu")
    row = torch.linspace(0.2, 0.8, 9)
    lr = torch.cat((row.flip(0), row)).expand(3, 18, 18)  # its own mirror image
    whole, _ = upscaler.collapse(lr, mode="rrdb")
    half, _ = upscaler.collapse(lr[..., 9:], mode="rrdb")
    assert (whole[..., 36:] - half).abs().max() < 1e-4


def test_tiles_at_edges_agree_with_the_whole(model: SRFlow):
    torch.manual_seed(0)
    upscaler = Upscaler(model, device="cpu")
    lr = torch.nn.functional.interpolate(torch.rand(1, 3, 9, 9), size=(70, 61), mode="bicubic")[0].clamp(0, 1)
    whole, parts = (upscaler.collapse(lr, mode="mean", sampling=SamplingConfig(samples=2, tile=t))[0] for t in (0, 32))
    assert (whole - parts).abs().max() < 1 / 255
