from __future__ import annotations

import pytest
import torch

import srspace
from srspace.errors import UsageError
from srspace.models import SRFlow


def test_candidates_come_as_one_stack_whatever_the_tile(model: SRFlow):
    lr = torch.rand(1, 3, 8, 9)
    stack = srspace.sample(model, lr, samples=3, seed=4)
    assert stack.shape == (3, 3, 32, 36) and stack.dtype == torch.float32
    assert stack.min() >= 0 and stack.max() <= 1
    assert torch.allclose(srspace.sample(model, lr[0], samples=2, seed=4), stack[:2], atol=1e-5)


def test_settings_out_of_range_are_refused(model: SRFlow):
    with pytest.raises(UsageError):
        srspace.sample(model, torch.rand(3, 8, 8), samples=0)
