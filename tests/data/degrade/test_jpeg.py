from __future__ import annotations

import pytest
import torch
from torch import Tensor

from srspace.data.degrade import kinds
from srspace.data.degrade.jpeg import SUBSAMPLINGS
from tests.data.degrade.conftest import likeness, through_codec

jpeg, subsample = kinds()["jpeg"], kinds()["subsample_chroma"]
ALIGNED = {"upsampling": 1, "top": 0, "left": 0}


@pytest.mark.parametrize("quality", [10, 25, 50, 75, 90, 97])
@pytest.mark.parametrize("subsampling", range(3))
def test_equals_libjpeg_to_half_a_level(photographs: Tensor, small: Tensor, quality: int, subsampling: int):
    for images in (photographs, small, small[..., :71, :93]):
        real = through_codec(images, "JPEG", quality=quality, subsampling=SUBSAMPLINGS[subsampling])
        ours = jpeg(images, quality=quality, subsampling=subsampling, **ALIGNED)
        assert (ours - real).abs().mean() * 255 < 0.6
        assert likeness(ours - images, real - images) > 0.87


def test_a_grid_offset_is_a_crop_of_a_larger_file(photographs: Tensor):
    """What a cut-out of a compressed picture shows, away from its edges."""
    whole = jpeg(photographs, quality=40, subsampling=0, **ALIGNED)
    for top, left in ((3, 5), (8, 15)):
        part = jpeg(photographs[..., top:, left:], quality=40, subsampling=0, upsampling=1, top=top, left=left)
        inside = slice(32, 256)
        assert torch.equal(part[..., inside, inside], whole[..., top:, left:][..., inside, inside])
        shifted = jpeg(photographs[..., top:, left:], quality=40, subsampling=0, **ALIGNED)
        assert (shifted - part)[..., inside, inside].abs().mean() * 255 > 1


def test_each_image_gets_its_own_parameters(small: Tensor):
    parameters = jpeg.draw(3, small.device)
    together = jpeg.apply(small, **parameters)
    for i in range(3):
        alone = jpeg.apply(small[i : i + 1], **{name: values[i : i + 1] for name, values in parameters.items()})
        assert torch.equal(alone[0], together[i])


def test_output_is_8_bit(small: Tensor):
    levels = jpeg(small) * 255
    assert torch.allclose(levels, levels.round(), atol=1e-4) and levels.min() >= 0 and levels.max() <= 255


def test_chroma_subsampling_alone_keeps_brightness(small: Tensor):
    luma = torch.tensor([0.299, 0.587, 0.114])
    damaged = subsample(small, subsampling=0, upsampling=0)
    assert (damaged - small).abs().mean() * 255 > 1
    # Colours at the edge of what RGB holds are clipped, which changes their brightness.
    change = ((damaged - small) * luma.view(1, 3, 1, 1)).sum(1).abs()
    assert change.median() * 255 < 0.6
    block = damaged[..., :2, :2] - (damaged[..., :2, :2] * luma.view(1, 3, 1, 1)).sum(1, keepdim=True)
    assert (block - block.mean((-1, -2), keepdim=True)).abs().max() * 255 < 4
