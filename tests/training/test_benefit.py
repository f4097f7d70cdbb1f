from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from srspace.training.benefit import benefit, sharpness
from tests.toy import detailed


@pytest.fixture(scope="module")
def clean() -> Tensor:
    """Images with details at every scale, in 8-bit levels."""
    return detailed(4, 48, 30)


def soft(images: Tensor) -> Tensor:
    return F.avg_pool2d(F.pad(images, (1, 1, 1, 1), "replicate"), 3, 1)


def test_sharpness_tells_blur_from_sharpening_and_leaves_noise(clean: Tensor):
    none, rest = sharpness(clean, clean)
    assert none.abs().max() < 1e-4 and rest.abs().max() < 1e-3
    blurred, _ = sharpness(soft(clean), clean)
    sharpened, _ = sharpness(clean + 0.8 * (clean - soft(clean)), clean)
    assert blurred[:, 0].max() < -0.4 and sharpened[:, 0].min() > 0.4
    noise = 6 * torch.randn(clean.shape, generator=torch.Generator().manual_seed(1))
    factors, rest = sharpness(clean + noise, clean)
    assert factors.abs().max() < 0.2 and 2.5 < rest.std() < 6, "three channels' noise averages out in luma"


def test_clean_images_are_the_clean_familys_and_damage_turns_the_scale(clean: Tensor):
    assert benefit(clean, clean).max() < -0.01
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(1))
    by_strength = [benefit(clean + strength * noise, clean).mean() for strength in (0, 1, 4, 12)]
    assert by_strength == sorted(by_strength) and by_strength[1] < 0 < by_strength[-1]
    assert (benefit(soft(soft(clean)), clean) - benefit(clean, clean)).min() > 0.01
