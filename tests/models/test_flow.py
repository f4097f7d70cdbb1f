from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from srspace.models import SRFlow
from srspace.models.flow import (
    ActNorm2d,
    ConditionalAffineCoupling,
    CouplingCondition,
    FlowStep,
    InvertibleConv1x1,
    Split2d,
    Squeeze2d,
    latent_shapes,
)
from srspace.models.flow.step import inverse_linear
from tests.networks import small_flow
from tests.waiting import NoWaiting


def autograd_log_det(function, x: Tensor) -> Tensor:
    jacobian = torch.autograd.functional.jacobian(lambda v: function(v).flatten(), x)
    return torch.linalg.slogdet(jacobian.reshape(x.numel(), x.numel()))[1]


def randomized(module: torch.nn.Module) -> torch.nn.Module:
    torch.manual_seed(3)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return module.double().requires_grad_(False)


@pytest.mark.parametrize("module", [ActNorm2d(4), InvertibleConv1x1(4), FlowStep(4)], ids=lambda m: type(m).__name__)
def test_linear_transforms_invert_and_report_their_log_determinant(module):
    module = randomized(module)
    x = torch.randn(1, 4, 3, 2, dtype=torch.float64)
    y, log_det = module(x)
    assert torch.allclose(log_det[0], autograd_log_det(lambda v: module(v)[0], x))
    assert torch.allclose(module.inverse(y), x)
    if isinstance(module, FlowStep):
        matrix, bias = inverse_linear([module])
        assert torch.allclose(F.conv2d(y, matrix[:, :, None, None], bias), x)


def test_coupling_inverts_and_reports_its_log_determinant():
    coupling = ConditionalAffineCoupling(4, 6, 8, 2, 1e-4)
    coupling.f_features.double(), coupling.f_affine.double()
    randomized(coupling)
    weight, bias = coupling.shared_weight()
    condition = coupling.condition(F.conv2d(torch.randn(1, 6, 3, 2).double(), weight, bias, padding=1))
    condition = CouplingCondition(*(part.double() for part in condition))
    x = torch.randn(1, 4, 3, 2).double()
    y, log_det = coupling(x, condition)
    assert torch.allclose(coupling.inverse(y, condition), x, atol=1e-6)
    assert torch.allclose(log_det[0], autograd_log_det(lambda v: coupling(v, condition)[0], x), atol=1e-5)


def test_split_inverts_and_reports_its_log_determinant():
    split = randomized(Split2d(4))
    x = torch.randn(1, 4, 3, 2).double()
    kept, latent, log_det = split(x)
    assert torch.allclose(split.inverse(kept, latent), x, atol=1e-6)
    expected = autograd_log_det(lambda v: torch.cat(split(v)[:2], 1), x)
    assert torch.allclose(log_det[0].double(), expected, atol=1e-5)


def test_squeeze_orders_channels_slowest_and_inverts():
    x = torch.arange(2 * 4 * 6).reshape(1, 2, 4, 6).float()
    y = Squeeze2d()(x)
    assert torch.equal(y[0, :4, 0, 0], torch.stack([x[0, 0, 0, 0], x[0, 0, 0, 1], x[0, 0, 1, 0], x[0, 0, 1, 1]]))
    assert torch.equal(Squeeze2d().inverse(y), x)


@pytest.mark.parametrize("scale", [4, 8])
def test_decode_undoes_encode(scale: int):
    model = small_flow(scale)
    hr, lr = torch.rand(2, 3, 5 * scale, 4 * scale), torch.rand(2, 3, 5, 4)
    latents, nll = model.encode(hr, lr)
    assert [z.shape[1:] for z in latents] == [torch.Size(s) for s in model.flow.latent_shapes(5 * scale, 4 * scale)]
    assert nll.shape == (2,)
    assert torch.allclose(model.decode(lr, latents), hr, atol=1e-4)


def test_nll_is_the_change_of_variables_formula(model: SRFlow):
    lr, hr = torch.rand(1, 3, 1, 1), torch.rand(1, 3, 4, 4)
    conditions = model.conditions(model.features(lr))

    def encode(x: Tensor) -> Tensor:
        return torch.cat([z.flatten() for z in model.flow(x, conditions)[0]])

    latents, nll = model.encode(hr, lr)
    log_det = autograd_log_det(encode, hr)
    log_prior = sum(torch.distributions.Normal(0.0, 1.0).log_prob(z).sum() for z in latents)
    assert nll.item() == pytest.approx(-(log_det + log_prior).item() / (math.log(2) * 16), abs=1e-4)


def test_the_inverse_is_differentiable_and_waits_for_nothing(model: SRFlow):
    hr, lr = torch.rand(2, 3, 20, 16), torch.rand(2, 3, 5, 4)
    model.requires_grad_(True)
    conditions = model.conditions(model.features(lr))
    latents, _ = model.flow(hr, conditions)
    with NoWaiting():
        decoded = model.flow.inverse([z.detach() for z in latents], conditions)
    assert torch.allclose(decoded, hr, atol=1e-4)
    decoded.square().mean().backward()
    gradients = {name: p.grad for name, p in model.flow.named_parameters()}
    assert all(g is not None and torch.isfinite(g).all() and g.any() for g in gradients.values())
    # What a small change of a weight does is what the gradient says.
    step = model.flow.levels[0].transitions[0].invconv
    direction = torch.randn_like(step.weight) * 1e-4

    def after(sign: int) -> float:
        with torch.no_grad():
            step.weight.add_(sign * direction)
            try:
                return model.flow.inverse(latents, conditions).square().mean().item()
            finally:
                step.weight.sub_(sign * direction)

    expected = (after(1) - after(-1)) / 2
    assert (step.weight.grad * direction).sum().item() == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize("scale", [4, 8])
def test_latents_have_the_shapes_that_the_configuration_says(scale: int):
    flow = small_flow(scale).flow
    assert flow.latent_shapes(16, 24) == latent_shapes(flow.config, 16, 24)
    assert sum(c * h * w for c, h, w in flow.latent_shapes(16, 24)) == 3 * 16 * 24


def test_wrong_shapes_are_refused(model: SRFlow):
    with pytest.raises(ValueError, match="is not 4 times"):
        model.encode(torch.rand(1, 3, 8, 8), torch.rand(1, 3, 4, 4))
    with pytest.raises(ValueError, match="latents must have"):
        model.decode(torch.rand(1, 3, 4, 4), [torch.rand(1, 6, 8, 8)])
    with pytest.raises(ValueError, match="a step with a coupling"):
        model.flow.levels[0].steps[0].inverse(torch.rand(1, 12, 4, 4))
