from __future__ import annotations

import copy

import pytest
import torch

from srspace.models import PreparedSRFlow, SRFlow
from tests.naive import naive_decode
from tests.networks import small_flow
from tests.waiting import NoWaiting


@pytest.mark.parametrize("scale", [4, 8])
def test_all_decoders_equal_the_plain_path(scale: int):
    model = small_flow(scale)
    lr = torch.rand(1, 3, 6, 5)
    latents = [torch.randn(3, *s) for s in model.flow.latent_shapes(6 * scale, 5 * scale)]
    shared = model.flow.inverse(latents, model.conditions(model.features(lr)))
    prepared = PreparedSRFlow(model)
    given = [z.clone() for z in latents]
    fast = prepared.decode(latents, prepared.conditions(prepared.features(lr)))
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
    rounded = short.decode(latents, short.conditions(short.features(lr)))[:1]
    assert 0 < (rounded - reference).abs().max() < 0.05 * reference.abs().max()
    for parameter in model.parameters():
        parameter.mul_(1.5)
    assert torch.allclose(
        prepared.decode(latents, prepared.conditions(prepared.features(lr)))[:1], reference, atol=1e-4
    )


def test_on_a_cpu_bfloat16_reaches_the_encoder_through_what_its_blocks_add_alone(model: SRFlow):
    lr = torch.rand(1, 3, 9, 8)
    prepared = PreparedSRFlow(model, torch.bfloat16, torch.device("cpu"))
    block = prepared.encoder.RRDB_trunk[0]
    assert {p.dtype for p in block.parameters()} == {torch.bfloat16}
    assert {p.dtype for n, p in prepared.encoder.named_parameters() if "trunk." not in n} == {torch.float32}
    exact = model.encoder.encode(lr).last
    whole = copy.deepcopy(model.encoder).bfloat16().encode(lr).last.float()
    features = prepared.features(lr).last
    assert features.dtype == torch.float32
    apart = (features - exact).abs().mean()
    assert 0 < apart < 0.3 * (whole - exact).abs().mean()


def test_the_prepared_encoder_gives_the_regression(model: SRFlow):
    lr = torch.rand(1, 3, 7, 5)
    prepared = PreparedSRFlow(model)
    features = prepared.features(lr)
    assert torch.allclose(prepared.regression(features), model.encoder(lr), atol=1e-5)
    alone = type(features)(features.last, features.last[:, :0], ())
    assert torch.equal(prepared.regression(alone), prepared.regression(features))


@pytest.mark.parametrize("scale", [4, 8])
def test_a_batch_of_images_is_decoded_each_with_its_own_conditions(scale: int):
    model = small_flow(scale)
    lr = torch.rand(3, 3, 6, 5)
    latents = [torch.randn(3, *s) for s in model.flow.latent_shapes(6 * scale, 5 * scale)]
    expected = model.flow.inverse(latents, model.conditions(model.features(lr)))
    prepared = PreparedSRFlow(model)
    given = [z.clone() for z in latents]
    conditions = prepared.conditions(prepared.features(lr))
    with NoWaiting():
        decoded = prepared.decode(latents, conditions)
    assert all(torch.equal(a, b) for a, b in zip(latents, given, strict=True))
    assert torch.allclose(decoded, expected, atol=1e-4)
    assert not torch.allclose(decoded[0], decoded[1], atol=1e-2)
    # Two candidates of the last image and one of the first.
    index = torch.tensor([2, 2, 0])
    expected = model.flow.inverse(latents, model.conditions(model.features(lr[index])))
    assert torch.allclose(prepared.decode(latents, conditions.select(index)), expected, atol=1e-4)


def test_preparing_leaves_the_model_as_it_is(model: SRFlow):
    model.train().requires_grad_(True)
    model.to(memory_format=torch.channels_last)
    before = {name: (p.data_ptr(), p._version, p.dtype) for name, p in model.named_parameters()}
    prepared = PreparedSRFlow(model, torch.bfloat16)
    prepared.decode([torch.randn(1, *s) for s in prepared.latent_shapes(16, 16)],
                    prepared.conditions(prepared.features(torch.rand(1, 3, 4, 4))))  # fmt: skip
    assert model.training and all(p.requires_grad and p.grad is None for p in model.parameters())
    assert before == {name: (p.data_ptr(), p._version, p.dtype) for name, p in model.named_parameters()}


class TestFloat16:
    """An image for which float16 is too narrow is encoded in float32, and no other one is."""

    @pytest.fixture
    def loud(self, model: SRFlow) -> SRFlow:
        """A model whose features leave float16 for bright images."""
        model.encoder.trunk_conv.weight.mul_(1e5)
        for name, parameter in model.encoder.named_parameters():
            if name.endswith("bias"):
                parameter.zero_()
        return model

    def test_overflow_is_encoded_in_float32(self, loud: SRFlow):
        prepared = PreparedSRFlow(loud, torch.float16)
        bright, dark = 20 * torch.rand(1, 3, 6, 5), torch.zeros(1, 3, 6, 5)
        assert prepared.features(dark).last.dtype == torch.float16
        features, expected = prepared.features(bright), loud.features(bright)
        assert expected.last.abs().max() > torch.finfo(torch.float16).max
        assert torch.isfinite(features.last).all()
        assert close(features.last, expected.last) and close(features.stacked, expected.stacked)
        assert close(prepared.regression(features), loud.encoder(bright))
        assert prepared.features(dark).last.dtype == torch.float16, "the next image is none the worse"

    def test_the_fallback_is_a_copy_as_well(self, loud: SRFlow):
        prepared, bright = PreparedSRFlow(loud, torch.float16), 20 * torch.rand(1, 3, 6, 5)
        expected = loud.features(bright).last
        for parameter in loud.parameters():
            parameter.zero_()
        assert close(prepared.features(bright).last, expected)


def close(image: torch.Tensor, expected: torch.Tensor) -> bool:
    return (image - expected).abs().max().item() < 1e-5 * expected.abs().max().item()
