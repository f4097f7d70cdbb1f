from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from srspace.models.enlarged import EnlargedConvolution


@pytest.mark.parametrize(
    ("batch", "inside", "outside", "height", "width"), [(1, 3, 5, 4, 7), (2, 6, 130, 5, 3), (1, 2, 4, 1, 1)]
)
def test_it_is_the_convolution_of_the_enlarged_map(batch: int, inside: int, outside: int, height: int, width: int):
    x, weight, bias = (
        torch.randn(batch, inside, height, width),
        torch.randn(outside, inside, 3, 3),
        torch.randn(outside),
    )
    large = F.interpolate(x, scale_factor=2, mode="nearest")
    expected = F.conv2d(large, weight, bias, padding=1)
    assert torch.allclose(EnlargedConvolution(weight, bias, torch.float32)(x), expected, atol=1e-4)
    expected = F.conv2d(large, weight, padding=1)
    assert torch.allclose(EnlargedConvolution(weight, None, torch.float32)(x), expected, atol=1e-4)


def test_it_is_channels_last():
    out = EnlargedConvolution(torch.randn(2, 3, 3, 3), None, torch.float32)(torch.randn(2, 3, 4, 5))
    assert out.is_contiguous(memory_format=torch.channels_last)
