from __future__ import annotations

import io

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from srspace.models import statistics as s
from srspace.models.statistics import COUNT, luma_chroma, statistics
from tests.toy import detailed


@pytest.fixture(scope="module")
def image() -> Tensor:
    """An image with details at every scale, in 8-bit levels."""
    return detailed(1, 64, 25)


def compressed(image: Tensor, quality: int) -> Tensor:
    file = io.BytesIO()
    Image.fromarray(image[0].permute(1, 2, 0).byte().numpy()).save(file, "JPEG", quality=quality)
    return torch.from_numpy(np.array(Image.open(file))).permute(2, 0, 1)[None].float()


@pytest.mark.parametrize("size", [(24, 24), (24, 40), (64, 64), (33, 57)])
def test_any_size_has_as_many(size: tuple[int, int]):
    found = statistics(torch.rand(3, 3, *size) * 255)
    assert found.shape == (3, COUNT) and found.isfinite().all()
    assert statistics(torch.zeros(1, 3, *size)).isfinite().all()


def test_images_are_told_apart_from_each_other_only_by_their_own_pixels(image: Tensor):
    both = statistics(torch.cat([image, image.flip(3) * 0.5]))
    assert torch.allclose(both[:1], statistics(image), atol=1e-5)


def test_brightness_says_nothing(image: Tensor):
    dark = image * 0.5
    assert torch.allclose(statistics(dark + 10), statistics(dark + 90), atol=1e-3)


def test_turning_an_image_changes_nothing_but_the_grid(image: Tensor):
    assert torch.allclose(statistics(image.mT), statistics(image), atol=1e-4)


def test_blocks_are_found_at_any_offset(image: Tensor):
    blocks = compressed(image, 20)
    for top, left in ((0, 0), (3, 0), (5, 6)):
        crop = (..., slice(top, top + 56), slice(left, left + 56))
        before, after = (s._grid(luma_chroma(x[crop])[:, :1])[0] for x in (image, blocks))
        assert after[0] > before[0] + 0.1 and after[2] > before[2] + 0.5, (top, left)


def test_noise_raises_the_high_frequencies_of_its_colours_and_breaks_correlations(image: Tensor):
    noise = torch.randn(image.shape, generator=torch.Generator().manual_seed(1)) * 8
    before, after = s._spectrum(luma_chroma(image))[0], s._spectrum(luma_chroma(image + noise))[0]
    assert (after - before).unflatten(0, (3, 9))[:, -1].min() > 0.1
    grey = s._spectrum(luma_chroma(image + noise[:, :1]))[0] - before
    assert grey[8] > 0.1 and grey[9:].abs().max() < 1e-3


def test_blur_and_sharpening_move_scales_apart(image: Tensor):
    soft = F.avg_pool2d(F.pad(image, (1, 1, 1, 1), "replicate"), 3, 1)
    sharp = 2 * image - soft
    one, two, three = (s._scales(luma_chroma(x)[:, :1])[0, 0] for x in (soft, image, sharp))
    assert one + 0.1 < two < three - 0.05


def test_flat_graphics_are_seen(image: Tensor):
    flat = image.div(128).floor() * 128
    assert s._flatness(flat, luma_chroma(flat)[:, :1])[0, 0] > 0.5
    assert s._flatness(image, luma_chroma(image)[:, :1])[0, 0] < 0.2
    white = torch.full_like(image, 255)
    assert s._flatness(white, luma_chroma(white)[:, :1])[0].tolist() == [1, 1, 1]
