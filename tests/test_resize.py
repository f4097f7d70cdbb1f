from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import srspace
from srspace.resize import enlarged, imresize, reduced


def test_equals_matlab_away_from_the_border(shared: Path):
    for name in ("Set5", "Set14"):
        for path in sorted((shared / "data/benchmarks" / name).glob("*_HR.png")):
            hr = np.asarray(Image.open(path))
            lr = np.asarray(Image.open(path.with_name(path.name.replace("_HR", "_LR"))))
            assert np.array_equal(srspace.imresize(hr, 0.25)[2:-2, 2:-2], lr[2:-2, 2:-2]), path.name


def test_a_constant_stays_constant_and_mirrored_edges_hold():
    for scale in (0.25, 1 / 3, 2.0, 4):
        assert np.array_equal(np.unique(srspace.imresize(np.full((24, 36, 3), 77, np.uint8), scale)), [77])
    ramp = np.linspace(0, 1, 40)[None].repeat(40, 0)
    assert np.allclose(np.diff(srspace.imresize(ramp, 0.25)[5, 3:-3]), 4 / 39, atol=1e-6)


def test_tensors_are_differentiable_and_agree_with_arrays():
    image = torch.rand(2, 3, 16, 20, dtype=torch.float64, requires_grad=True)
    small = srspace.imresize(image, 0.25)
    assert small.shape == (2, 3, 4, 5)
    small.sum().backward()
    assert image.grad is not None and torch.isfinite(image.grad).all()
    array = image.detach()[0].permute(1, 2, 0).numpy()
    assert np.allclose(srspace.imresize(array, 0.25), small[0].detach().permute(1, 2, 0).numpy())


def test_bad_arguments():
    for call in (
        lambda: srspace.imresize(np.zeros((4, 4), np.uint8)),
        lambda: srspace.imresize(np.zeros((4, 4), np.uint8), -1),
        lambda: srspace.imresize(np.zeros((4, 4), np.int32), 0.5),
        lambda: srspace.imresize(np.zeros((0, 4), np.uint8), 0.5),
    ):
        with pytest.raises(ValueError):
            call()


@pytest.mark.parametrize("size", [(1, 1), (2, 7), (9, 16)])
@pytest.mark.parametrize("scale", [2, 4, 8])
def test_whole_factors_by_convolution_are_the_same(size: tuple[int, int], scale: int):
    torch.manual_seed(0)
    large = torch.rand(3, size[0] * scale, size[1] * scale, dtype=torch.float64)
    small = torch.rand(3, *size, dtype=torch.float64)
    assert torch.allclose(reduced(large, scale), imresize(large, 1 / scale), atol=1e-12)
    assert torch.allclose(enlarged(small, scale), imresize(small, scale), atol=1e-12)
