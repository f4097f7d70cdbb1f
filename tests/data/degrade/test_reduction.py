from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

import srspace
from srspace.data.degrade.reduction import KERNELS, clean_reduction, resize_matrix, resized


def resize(images: Tensor, sides: tuple[int, int], kernel: str, antialias: bool = True, shift: float = 0.0) -> Tensor:
    count = images.shape[0]
    factor = torch.full((count,), images.shape[-1] / sides[1])
    moved = torch.full((count,), shift)
    chosen = torch.full((count,), KERNELS.index(kernel))
    return resized(images, sides, factor, chosen, torch.full((count,), antialias), moved, moved)


def pillows(images: Tensor, sides: tuple[int, int], method: Image.Resampling) -> Tensor:
    planes = [
        np.asarray(Image.fromarray(plane.numpy()).resize((sides[1], sides[0]), method))
        for image in images
        for plane in image
    ]
    return torch.from_numpy(np.stack(planes)).view(images.shape[0], 3, *sides)


def inside(images: Tensor) -> Tensor:
    return images[..., 6:-6, 6:-6]


@pytest.mark.parametrize("sides", [(80, 112), (160, 224), (100, 140), (60, 84)])
@pytest.mark.parametrize(
    ("kernel", "method"),
    [
        ("box", Image.Resampling.BOX),
        ("triangle", Image.Resampling.BILINEAR),
        ("cubic", Image.Resampling.BICUBIC),
        ("lanczos", Image.Resampling.LANCZOS),
    ],
)
def test_antialiased_kernels_equal_pillows(
    photographs: Tensor, sides: tuple[int, int], kernel: str, method: Image.Resampling
):
    """But for the edges, which Pillow cuts off and this module mirrors."""
    difference = inside(resize(photographs, sides, kernel)) - inside(pillows(photographs, sides, method))
    assert difference.abs().max() * 255 < 0.02


def test_kernels_that_are_not_antialiased(photographs: Tensor):
    sides = (80, 112)
    nearest = torch.stack([photographs[..., 2::4, 2::4]])[0]
    assert torch.allclose(resize(photographs, sides, "box", antialias=False), nearest, atol=1e-6)
    assert torch.allclose(nearest, pillows(photographs, sides, Image.Resampling.NEAREST), atol=1e-6)
    bilinear = F.interpolate(photographs, sides, mode="bilinear", align_corners=False)
    assert torch.allclose(resize(photographs, sides, "triangle", antialias=False), bilinear, atol=1e-5)
    bicubic = F.interpolate(photographs, sides, mode="bicubic", align_corners=False)
    assert torch.allclose(resize(photographs, sides, "cubic, a = -0.75", antialias=False), bicubic, atol=1e-5)


def test_cubic_equals_imresize_with_its_mirrored_edges(photographs: Tensor):
    ours = resize(photographs, (80, 112), "cubic")
    assert torch.allclose(ours, srspace.imresize(photographs, 0.25), atol=1e-5)


def test_shift_moves_what_is_sampled():
    ramp = torch.arange(64.0).expand(1, 3, 64, 64) / 64
    for kernel in KERNELS[1:]:
        moved = resize(ramp, (16, 16), kernel, shift=0.5) - resize(ramp, (16, 16), kernel)
        assert torch.allclose(inside(moved), torch.tensor(0.5 / 64), atol=1e-5)


def test_images_of_a_batch_have_their_own_factors(photographs: Tensor):
    """On a canvas of one size; beyond the end of an image its edge is repeated."""
    images = photographs[:, :, :320, :320]
    factor = torch.tensor([2.0, 2.5, 4.0])
    kernel, antialias, none = torch.full((3,), 1), torch.ones(3, dtype=torch.bool), torch.zeros(3)
    canvas = resized(images, (160, 160), factor, kernel, antialias, none, none)
    for i, side in enumerate((160, 128, 80)):
        alone = resize(images[i : i + 1], (side, side), "triangle")
        assert torch.allclose(inside(canvas[i : i + 1, :, :side, :side]), inside(alone), atol=1e-5)
    assert canvas[2, :, 120:].std(1).max() < 1e-5


@pytest.mark.parametrize("scale", [2, 4, 8])
def test_clean_reduction_is_matlabs_to_the_bit(photographs: Tensor, scale: int):
    levels = (photographs * 255).round().to(torch.uint8)
    assert torch.equal(clean_reduction(photographs, scale), srspace.imresize(levels, 1 / scale).float() / 255)
    noise = torch.randint(0, 256, (2, 3, 64, 96), dtype=torch.uint8)
    assert torch.equal(clean_reduction(noise / 255, scale), srspace.imresize(noise, 1 / scale).float() / 255)


def test_rows_of_every_matrix_add_up_to_one():
    factor = torch.cat((torch.rand(150) * 5 + 0.3, torch.tensor([0.5, 1.0, 10 / 3, 2.5, 4.0])))
    count = len(factor)
    for kernel in range(len(KERNELS)):
        for antialias in (True, False):
            flags = torch.full((count,), antialias)
            matrix = resize_matrix(160, 50, factor, torch.full((count,), kernel), flags, torch.rand(count) - 0.5)
            assert torch.allclose(matrix.sum(-1), torch.ones(count, 50), atol=1e-5)
            if kernel == 0 and not antialias:
                assert ((matrix > 0).sum(-1) == 1).all()
