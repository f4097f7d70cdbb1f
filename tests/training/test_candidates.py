from __future__ import annotations

import pytest
import torch

from srspace.data.pools import PatchPool
from srspace.models import SRFlow
from srspace.training.candidates import CandidateSource, draw_pairs
from tests.networks import small_flow
from tests.training.conftest import picture_flow


def calm_flow() -> SRFlow:
    """Its candidates stay in range at low temperatures."""
    return picture_flow().eval().requires_grad_(False)


FLAT = (0.1 + 0.2 * torch.arange(4.0)).view(4, 1, 1, 1).expand(4, 3, 12, 12)


def test_candidates_belong_to_their_own_image():
    drawn = CandidateSource(calm_flow()).draw(FLAT, 3, [0.0])
    alone = [CandidateSource(calm_flow()).draw(lr[None], 3, [0.0]) for lr in FLAT]
    assert drawn.candidates.shape == (4, 3, 3, 48, 48) and drawn.regression.shape == (4, 3, 48, 48)
    assert drawn.features.shape == (4, 24, 12, 12)
    for i, one in enumerate(alone):
        assert torch.allclose(drawn.candidates[i], one.candidates[0], atol=1e-5)
        assert torch.allclose(drawn.regression[i], one.regression[0], atol=1e-5)
    assert (drawn.candidates[0] - drawn.candidates[1]).abs().max() > 2e-4


def test_candidates_are_those_of_the_flow():
    model = calm_flow()
    torch.manual_seed(3)
    drawn = CandidateSource(model).draw(FLAT, 1, [0.4])
    torch.manual_seed(3)
    torch.randint(1, (4, 1, 1, 1))
    latents = [0.4 * torch.randn(4, *shape) for shape in model.flow.latent_shapes(48, 48)]
    assert torch.allclose(drawn.candidates[:, 0], model.decode(FLAT, latents).clamp(0, 1), atol=1e-4)


def test_antithetic_candidates_come_of_negated_latents():
    source, seen = CandidateSource(calm_flow()), []
    decode = source.model.decode
    source.model.decode = lambda latents, conditions: seen.append(latents) or decode(latents, conditions)
    source.draw(FLAT, 4, [0.9], antithetic=True)
    assert all(torch.equal(a, -b) for k in (0, 2) for a, b in zip(seen[k], seen[k + 1], strict=True))
    assert not torch.equal(seen[2][0], seen[0][0]) and not torch.equal(seen[2][0], seen[1][0])


def test_every_image_uses_one_of_the_temperatures():
    source, seen = CandidateSource(calm_flow()), []
    decode = source.model.decode
    source.model.decode = lambda latents, conditions: seen.append(latents) or decode(latents, conditions)
    torch.manual_seed(0)
    source.draw(FLAT[:1].expand(32, -1, -1, -1), 2, [0.1, 1.0])
    deviations = [latents[0].flatten(1).std(1) for latents in seen]
    assert torch.allclose(*deviations, rtol=0.3)  # the candidates of an image share theirs
    assert {round(x, 1) for x in deviations[0].tolist()} == {0.1, 1.0}


@pytest.mark.parametrize("redraw", [False, True])
def test_a_broken_candidate_is_drawn_again_or_becomes_the_encoders_output(redraw: bool):
    source, calls = CandidateSource(calm_flow()), []
    decode = source.model.decode

    def breaking(latents, conditions):
        """The second image's candidates break above temperature 0.35, the third image's always do."""
        calls.append([z[1].std().item() for z in latents])
        images = decode(latents, conditions)
        if calls[-1][0] > 0.35:
            images[1, 0, 0, 0] = 5.0
        images[2, 0, 0, 0] = float("nan")
        return images

    source.model.decode = breaking
    drawn = source.draw(FLAT, 2, [0.4], redraw=redraw)
    assert len(calls) == (6 if redraw else 2)
    assert [round(stds[0], 1) for stds in calls] == [0.4] * 2 + ([0.3] * 2 + [0.2] * 2 if redraw else [])
    assert torch.isfinite(drawn.candidates).all()
    assert torch.equal(drawn.candidates[2], drawn.regression[2].expand(2, -1, -1, -1))
    assert torch.equal(drawn.candidates[1, 0], drawn.regression[1]) is not redraw
    assert not torch.equal(drawn.candidates[0, 0], drawn.regression[0])


def test_pairs_are_of_every_other_patch_and_independent(pool: PatchPool):
    torch.manual_seed(0)
    model = picture_flow()
    hr, lr = pool.draw(6, 32)
    one, other, originals = draw_pairs(model.flow, model.conditions(model.features(lr)), hr, [0.5])
    assert torch.equal(originals, hr[::2]) and one.shape == other.shape == (3, 3, 32, 32)
    assert not torch.allclose(one, other, atol=1e-2)
    assert one.requires_grad and one.min() >= 0 and one.max() <= 1


def test_a_candidate_that_explodes_is_its_original_and_has_no_gradient(pool: PatchPool):
    model = small_flow().requires_grad_(True)
    hr, lr = pool.draw(2, 32)
    one, other, originals = draw_pairs(model.flow, model.conditions(model.features(lr)), hr, [1e8])
    assert torch.equal(one, originals) and torch.equal(other, originals)
    gradients = torch.autograd.grad((one + other).sum(), list(model.flow.parameters()), allow_unused=True)
    assert all(g is None or torch.equal(g, torch.zeros_like(g)) for g in gradients)


def test_gradients_survive_mixed_precision(pool: PatchPool):
    """What the look at which candidates are sound casts to bfloat16 must not be used with gradients."""
    model = picture_flow()
    hr, lr = pool.draw(2, 32)
    with torch.autocast("cpu", torch.bfloat16):
        with torch.no_grad():
            conditions = model.conditions(model.features(lr))
        torch.clear_autocast_cache()
        one, other, _ = draw_pairs(model.flow, conditions, hr, [0.5])
    (one - other).abs().mean().backward()
    hidden = [p for name, p in model.flow.named_parameters() if "f_affine" in name and name.endswith("weight")]
    assert hidden and all(p.grad is not None and p.grad.abs().sum() > 0 for p in hidden)
