from __future__ import annotations

import pytest
import torch

from srspace.metrics import Lpips
from srspace.training.losses import SMALLEST, bits_per_pixel, error_of_mean, inner, perceptual, regression


def test_regression_losses_are_those_of_each_image():
    sr, hr = torch.zeros(2, 3, 4, 4), torch.zeros(2, 3, 4, 4)
    sr[1] = 0.5
    assert torch.equal(regression(sr, hr, "l1"), torch.tensor([0.0, 0.5]))
    assert torch.equal(regression(sr, hr, "l2"), torch.tensor([0.0, 0.25]))
    with pytest.raises(ValueError, match="l1 or l2, not 'l3'"):
        regression(sr, hr, "l3")  # type: ignore[arg-type]


def test_likelihood_is_counted_in_bits_per_pixel():
    assert bits_per_pixel(torch.tensor([-8.0 * 64]), torch.zeros(1, 3, 8, 8)).item() == pytest.approx(8 / 0.693147)


def test_a_perceptual_loss_has_a_gradient_everywhere(critics: tuple[Lpips, ...]):
    torch.manual_seed(0)
    hr = torch.rand(2, 3, 48, 48)
    same = hr.clone().requires_grad_()
    perceptual(same, hr, critics).mean().backward()
    assert same.grad is not None and torch.isfinite(same.grad).all()
    other = (hr * torch.tensor([0.8, 0.5]).view(2, 1, 1, 1)).requires_grad_()
    values = torch.stack([perceptual(other, hr, critics) for _ in range(12)])
    assert values.shape == (12, 2) and (values[:, 1] > values[:, 0]).all()
    assert len({round(value.item(), 6) for value in values[:, 0]}) > 6  # the grid lies at a random place
    values.sum().backward()
    assert (other.grad[..., 8:-8, 8:-8].abs().sum((0, 1)) > 0).all()


def test_a_perceptual_loss_is_computed_in_float32(critics: tuple[Lpips, ...]):
    torch.manual_seed(0)
    sr, hr = torch.rand(2, 1, 3, 48, 48)
    torch.manual_seed(1)
    plain = perceptual(sr, hr, critics)
    torch.manual_seed(1)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(perceptual(sr, hr, critics), plain)


def test_the_smallest_patch_is_enough(critics: tuple[Lpips, ...]):
    image = torch.rand(1, 3, SMALLEST, SMALLEST)
    assert perceptual(inner(image), inner(image), critics).item() < 1e-6


def test_the_error_of_the_mean_does_not_count_how_far_candidates_lie_apart():
    """With errors of its own in every candidate it is zero on average; what they share is squared."""
    torch.manual_seed(0)
    hr = torch.full((8, 3, 160, 160), 0.5)
    for shared in (0.0, 0.1):
        one, other = (hr + shared + 0.1 * torch.randn_like(hr) for _ in range(2))
        assert error_of_mean(one, other, hr).mean().item() == pytest.approx(shared**2, abs=2e-4)
