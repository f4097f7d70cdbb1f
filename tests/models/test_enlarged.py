from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from srspace.models.enlarged import EnlargedConvolution, convolve_enlarged


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
    assert torch.allclose(convolve_enlarged(x, weight, bias), expected, atol=1e-4)
    assert torch.allclose(convolve_enlarged(x, weight, None), F.conv2d(large, weight, padding=1), atol=1e-4)


def test_it_adds_to_what_is_there():
    x, weight = torch.randn(1, 3, 4, 5), torch.randn(2, 3, 3, 3)
    out = torch.ones(1, 2, 8, 10).contiguous(memory_format=torch.channels_last)
    EnlargedConvolution(weight, torch.float32).add_to(out, x)
    assert torch.allclose(out - 1, convolve_enlarged(x, weight, None), atol=1e-5)
