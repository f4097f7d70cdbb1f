from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from srspace.data.degrade import kinds
from srspace.data.degrade.blur import KINDS, gaussian, generalised

blur = kinds()["blur"]


def blurred(images: Tensor, kind: str, size: float, **others: float) -> Tensor:
    parameters = {"ratio": 1.0, "angle": 0.0, "shape": 0.5} | others
    return blur(images, kind=KINDS.index(kind), size=size, **parameters)


def convolved(images: Tensor, kernel: NDArray[np.float64]) -> Tensor:
    out = [[ndimage.convolve(plane, kernel, mode="reflect") for plane in image] for image in images.double().numpy()]
    return torch.from_numpy(np.array(out)).float()


def drawn_kernel(inside: NDArray[np.bool_], fine: int) -> NDArray[np.float64]:
    """A kernel from a shape drawn ``fine`` times as large."""
    side = len(inside) // fine
    kernel = inside.reshape(side, fine, side, fine).mean((1, 3))
    return kernel / kernel.sum()


@pytest.mark.parametrize("size", [0.8, 1.5, 3.2])
def test_gaussian_equals_scipys(photographs: Tensor, size: float):
    ours = blurred(photographs, "gaussian", size)
    sizes = (0, 0, size, size)
    scipys = ndimage.gaussian_filter(photographs.double().numpy(), sizes, mode="reflect", truncate=6)
    assert (ours - torch.from_numpy(scipys)).abs().max() * 255 < (0.01 if size > 1 else 1)


def test_anisotropic_gaussian_equals_direct_convolution(photographs: Tensor):
    """The angle turns the longer axis from the horizontal towards the bottom."""
    places = np.arange(-14, 15)
    x, y = places[None], places[:, None]
    along = x * math.cos(0.6) + y * math.sin(0.6)
    across = y * math.cos(0.6) - x * math.sin(0.6)
    kernel = np.exp(-((along / 2.5) ** 2 + (across / 1.0) ** 2) / 2)
    ours = blurred(photographs, "gaussian", 2.5, ratio=0.4, angle=0.6)
    assert (ours - convolved(photographs, kernel / kernel.sum())).abs().max() * 255 < 0.2
    turned = blurred(photographs, "gaussian", 2.5, ratio=0.4, angle=-0.6)
    assert (ours - turned).abs().max() * 255 > 5


def test_defocus_is_a_disc(photographs: Tensor):
    fine, radius = 15, 2 * 2.0
    places = (np.arange(15 * fine) + 0.5) / fine - 7.5
    disc = drawn_kernel(places[None] ** 2 + places[:, None] ** 2 <= radius**2, fine)
    ours = blurred(photographs, "defocus", 2.0)
    assert (ours - convolved(photographs, disc)).abs().mean() * 255 < 0.4
    assert (ours - blurred(photographs, "gaussian", 2.0)).abs().mean() * 255 > 0.8


def test_motion_is_a_line():
    point = torch.zeros(1, 3, 65, 65)
    point[..., 32, 32] = 1
    trace = blurred(point, "motion", 2.5, angle=0.0)[0, 0]
    assert trace[32].sum() > 0.99 and trace[:32].abs().max() < 1e-4
    length = math.sqrt(12) * 2.5
    assert (trace[32, 29:36] - 1 / length).abs().max() < 0.02
    down = blurred(point, "motion", 2.5, angle=math.pi / 2)[0, 0]
    assert torch.allclose(down, trace.T, atol=1e-4)


def test_ringing_overshoots_and_a_gaussian_does_not():
    step = torch.zeros(1, 3, 64, 64)
    step[..., 32:] = 0.5
    assert blurred(step, "gaussian", 1.5).max() < 0.5001
    hard, soft = (blurred(step, "ringing", 1.5, shape=shape).max() for shape in (0.0, 1.0))
    assert 0.52 < soft < hard < 0.56


def test_generalised_contains_the_gaussian():
    radius = torch.linspace(0, 1, 50)
    assert torch.allclose(generalised(radius, torch.tensor(1 / 3)), gaussian(radius), atol=1e-5)


def test_a_flat_image_stays_flat_and_no_blur_is_none(photographs: Tensor):
    flat = torch.full((1, 3, 40, 52), 0.3)
    for kind in KINDS:
        assert (blurred(flat, kind, 2.0, ratio=0.5, angle=1.0) - 0.3).abs().max() < 1e-5
    assert (blurred(photographs, "none", 3.0) - photographs).abs().max() < 1e-5


def test_sizes_compare_across_kinds(photographs: Tensor):
    """The same size takes about the same amount of detail away."""
    lost = [(blurred(photographs, kind, 1.5, shape=0.4) - photographs).square().mean().sqrt() for kind in KINDS[1:]]
    assert all(0.6 < loss / lost[0] < 1.3 for loss in lost), lost
