from __future__ import annotations

import copy
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from srspace.benchmark.synthetic import random_model
from srspace.checkpoints import load_fusion
from srspace.config import FlowConfig, FusionConfig, RRDBConfig
from srspace.models import FusionNet, PreparedSRFlow, SetFusionNet, SRFlow, kernels, prepared
from srspace.models.flow import (
    ActNorm2d,
    ConditionalAffineCoupling,
    CouplingCondition,
    FlowStep,
    InvertibleConv1x1,
    Split2d,
    Squeeze2d,
)
from srspace.models.flow.step import InverseLinear
from tests.conftest import small_flow
from tests.naive import naive_decode


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
    if isinstance(module, FlowStep):
        assert torch.allclose(InverseLinear([module])(y.float()), x.float(), atol=1e-5)
    else:
        assert torch.allclose(module.inverse(y), x)


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


@pytest.mark.parametrize("scale", [4, 8])
def test_all_decoders_equal_the_plain_path(scale: int):
    model = small_flow(scale)
    lr = torch.rand(1, 3, 6, 5)
    latents = [torch.randn(3, *s) for s in model.flow.latent_shapes(6 * scale, 5 * scale)]
    shared = model.flow.inverse(latents, model.conditions(model.features(lr)))
    prepared = PreparedSRFlow(model)
    given = [z.clone() for z in latents]
    fast = prepared.decode(latents, prepared.conditions(lr))
    assert all(torch.equal(a, b) for a, b in zip(latents, given, strict=True))
    for i in range(3):
        plain = naive_decode(model, lr, [z[i : i + 1] for z in latents])
        assert torch.allclose(shared[i : i + 1], plain, atol=1e-4)
        assert torch.allclose(fast[i : i + 1], plain, atol=1e-4)


def test_a_prepared_model_serves_other_precisions_and_is_a_copy(model: SRFlow):
    lr = torch.rand(1, 3, 6, 5)
    latents = [torch.randn(2, *s) for s in model.flow.latent_shapes(24, 20)]
    reference = model.decode(lr, [z[:1] for z in latents])
    prepared, short = PreparedSRFlow(model), PreparedSRFlow(model, torch.bfloat16)
    assert short.encoder.dtype == torch.float32  # bfloat16 is too short for the encoder
    rounded = short.decode(latents, short.conditions(lr))[:1]
    assert 0 < (rounded - reference).abs().max() < 0.05 * reference.abs().max()
    model.flow.levels[0].steps[0].invconv.weight.mul_(1.5)
    assert torch.allclose(prepared.decode(latents, prepared.conditions(lr))[:1], reference, atol=1e-4)


def test_the_prepared_encoder_gives_the_regression(model: SRFlow):
    lr = torch.rand(1, 3, 7, 5)
    assert torch.allclose(PreparedSRFlow(model).regression(lr), model.encoder(lr), atol=1e-5)


def test_fused_inverses_follow_the_weights():
    step = randomized(FlowStep(4)).requires_grad_(True)
    inverse = InverseLinear([step])
    x = torch.randn(1, 4, 3, 2, dtype=torch.float64)
    for keep in (True, False):
        with torch.set_grad_enabled(not keep):
            for _ in range(2):
                assert torch.allclose(inverse(step(x)[0]), x)
                with torch.no_grad():
                    step.actnorm.logs.add_(0.3)
            step.load_state_dict({k: v * 1.2 for k, v in step.state_dict().items()})
            assert torch.allclose(inverse(step(x)[0]), x)
            assert torch.allclose(copy.deepcopy(inverse)(step(x)[0]), x)
            assert inverse(step(x)[0].detach()).requires_grad != keep


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
def test_kernels_equal_the_eager_path(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(kernels, "WORTHWHILE", 0)
    model = random_model(RRDBConfig(nb=2), FlowConfig(steps=2, stack_blocks=(0, 1))).cuda()
    prepared = PreparedSRFlow(model, torch.bfloat16)
    lr = torch.rand(1, 3, 13, 11).cuda()
    latents = [torch.randn(3, *s).cuda() for s in model.flow.latent_shapes(52, 44)]
    if not prepared.wait_for_kernels():
        pytest.skip("Triton is not here")
    conditions, features = prepared.conditions(lr), prepared.features(lr, fused=True)
    assert all(step.fused for level in conditions for step in level)
    fused = prepared.decode(latents, conditions)
    monkeypatch.setattr(kernels, "WORTHWHILE", 10**9)
    eager = prepared.features(lr)
    assert (features.last - eager.last).abs().max() < 0.01 * eager.last.abs().max()
    assert (features.stacked - eager.stacked).abs().max() < 0.01 * eager.stacked.abs().max()
    conditions = prepared.conditions(lr)
    assert not any(step.fused for level in conditions for step in level)
    # The opening actnorm shrinks by exp(5), so the bound is a tenth of a unit of the flow's state.
    assert (prepared.decode(latents, conditions) - fused).abs().max() < 1e-3


def test_wrong_shapes_are_refused(model: SRFlow):
    with pytest.raises(ValueError, match="is not 4 times"):
        model.encode(torch.rand(1, 3, 8, 8), torch.rand(1, 3, 4, 4))
    with pytest.raises(ValueError, match="latents must have"):
        model.decode(torch.rand(1, 3, 4, 4), [torch.rand(1, 6, 8, 8)])
    with pytest.raises(ValueError, match="expected"):
        FusionNet(FusionConfig())(torch.rand(1, 9, 3, 8, 8))


def test_fresh_fusion_network_gives_the_ensemble_mean():
    stack = torch.rand(1, 10, 3, 8, 8)
    assert torch.allclose(FusionNet(FusionConfig())(stack), stack.mean(1))


def set_network() -> SetFusionNet:
    torch.manual_seed(0)
    network = SetFusionNet(FusionConfig(samples=None, channels=8, blocks=1, embedding=4)).eval()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return network


def test_set_fusion_starts_at_the_ensemble_mean():
    stack = torch.rand(2, 5, 3, 12, 9)
    fresh = SetFusionNet(FusionConfig(samples=None, channels=8, blocks=1, embedding=4))
    assert torch.allclose(fresh(stack), stack.mean(1), atol=1e-6)


@pytest.mark.parametrize("samples", [None, 3])
def test_a_gain_draws_the_result_towards_the_ensemble_mean(samples: int | None):
    torch.manual_seed(0)
    full = FusionConfig(samples=samples, channels=8, blocks=1, embedding=4)
    kind = SetFusionNet if samples is None else FusionNet
    network, drawn = kind(full), kind(replace(full, gain=0.25))
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    drawn.load_state_dict(network.state_dict())
    stack = torch.rand(1, 3, 3, 9, 8)
    mean = stack.mean(1)
    assert (network(stack) - mean).abs().max() > 0.05
    assert torch.allclose(drawn(stack) - mean, 0.25 * (network(stack) - mean), atol=1e-6)
    with pytest.raises(ValueError, match="gain"):
        replace(full, gain=1.5)
    with pytest.raises(ValueError, match="gain"):
        replace(full, gain=0.5, residual=False)


@pytest.mark.parametrize("count", [1, 2, 7])
def test_set_fusion_takes_any_number_in_any_order(count: int):
    network, stack = set_network(), torch.rand(2, count, 3, 12, 9)
    fused = network(stack)
    assert fused.shape == (2, 3, 12, 9)
    assert torch.allclose(network(stack[:, torch.randperm(count)]), fused, atol=1e-5)
    with torch.no_grad():
        assert torch.allclose(network(stack), fused, atol=1e-5)
    fused.sum().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in network.parameters())


def test_set_fusion_sees_no_further_than_its_radius():
    network = set_network()
    stack = torch.rand(1, 3, 3, 41, 41, requires_grad=True)
    network(stack)[..., 20, 20].sum().backward()
    rows = stack.grad.abs().sum((0, 1, 2, 4)).nonzero()
    assert 20 - rows.min() == rows.max() - 20 == network.radius
    with pytest.raises(ValueError, match="expected"):
        network(torch.rand(1, 3, 8, 8))


@pytest.mark.parametrize("name", ["fusion-lpips-x4-lite", "fusion-l1-x4-lite", "fusion-lpips-stack-x4-lite"])
def test_a_prepared_fusion_network_is_a_copy_and_rounds_little(name: str):
    network = load_fusion(Path(__file__).parents[1] / "weights" / name)
    torch.manual_seed(0)
    scene = F.interpolate(torch.rand(1, 3, 12, 12), scale_factor=8, mode="bicubic").clamp(0, 1)
    stack = (scene[:, None] + 0.04 * torch.randn(1, 10, 3, 96, 96)).clamp(0, 1)
    device = torch.device("cpu")
    with torch.no_grad():
        reference = network(stack)
        same = prepared(network, device, torch.float32)(stack)
        rounded = prepared(network, device, torch.bfloat16)(stack)
    assert rounded.dtype == torch.float32 and network.head.weight.dtype == torch.float32
    assert torch.allclose(same, reference, atol=1e-5)
    assert ((rounded - reference).abs() <= 2 / 255).float().mean() >= 0.999
    assert (reference - stack.mean(1)).abs().mean() > 0.5 / 255  # there is something to round
