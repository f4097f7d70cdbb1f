from __future__ import annotations

from pathlib import Path

import pytest
import torch

import srspace
from srspace.config import DialConfig
from srspace.data.pools import Batches, PatchPool
from srspace.errors import UsageError
from srspace.models import DialFusion
from srspace.training.candidates import CandidateSource, Drawn
from srspace.training.dial import DialTask, inputs
from srspace.training.loop import Loop
from srspace.training.settings import DialTaskConfig
from tests.networks import small_flow
from tests.training.conftest import EXACT, SHORT

SIZES = DialConfig(features=24, channels=8, blocks=1, embedding=4)


def task(pool: PatchPool, config: DialTaskConfig | None = None, *, patch: int = 64) -> DialTask:
    torch.manual_seed(0)
    held_out = pool.draw(2, 64)
    source = CandidateSource(small_flow())
    return DialTask(DialFusion(SIZES), source, Batches(pool, 2, patch), config or DialTaskConfig(), held_out=held_out)


def test_training_and_its_figures(pool: PatchPool, tmp_path: Path, critics):
    made = task(pool)
    assert made.validate() == made.validate()  # always of the same candidates
    record = Loop(made, SHORT, tmp_path, execution=EXACT).run()
    assert {"val_psnr_0", "val_psnr_1", "val_alex_0.5", "val_squeeze_rrdb", "val_psnr_sample"} <= set(record)
    saved = srspace.load_fusion(tmp_path)
    assert isinstance(saved, DialFusion) and any(p.abs().max() > 0 for p in saved.tail.parameters())
    assert (tmp_path / "best" / "model.safetensors").exists()


def test_the_best_network_has_the_lowest_distance_at_the_natural_end(pool: PatchPool, critics):
    made = task(pool)
    low, high = ({f"val_{net}_1": d, f"val_{net}_0": 1 - d} for net, d in (("alex", 0.1), ("alex", 0.2)))
    low["val_squeeze_1"] = high["val_squeeze_1"] = 0.1
    assert made.score(low) < made.score(high)


@pytest.mark.parametrize("balance", [0.0, 1.0])
def test_the_loss_weighs_pixels_by_the_balance(pool: PatchPool, critics, balance: float):
    made = task(pool, DialTaskConfig(pixel_weight=0.3, pixel_ratio=1500.0, square_weight=0.0))
    hr, *parts, _ = made.batch()
    shifted = (hr + 0.1).clamp(0, 1)
    made.network.forward = lambda *_: shifted  # type: ignore[method-assign]
    pixels = (shifted - hr)[..., 8:-8, 8:-8].abs().mean()
    torch.manual_seed(0)
    loss = made.loss(hr, *parts, torch.full((2,), balance))
    weight = 0.3 if balance == 1 else 450.0
    rest = loss * (1 + weight / 10) - weight * pixels
    assert 0 < rest < 0.5  # what is left is LPIPS


@pytest.mark.parametrize(("balance", "share"), [(0.0, 0.0), (0.5, 0.4), (1.0, 0.8)])
def test_a_share_of_the_pixels_is_measured_at_half_the_size(pool: PatchPool, critics, balance: float, share: float):
    """A fine chequered pattern is gone there, and LPIPS is left where it is."""
    losses = []
    for coarse_share in (0.0, 0.8):
        made = task(pool, DialTaskConfig(pixel_weight=100.0, pixel_ratio=1.0, coarse_share=coarse_share))
        hr, *parts, _ = made.batch()
        pattern = 0.02 * (-1.0) ** (torch.arange(64)[:, None] + torch.arange(64))
        made.network.forward = lambda *_, hr=hr, pattern=pattern: hr + pattern  # type: ignore[method-assign]
        torch.manual_seed(0)
        losses.append(made.loss(hr, *parts, torch.full((2,), balance)))
    pixels = 100 * (0.02 + 6 * 0.02**2) / (1 + 100 / 10)
    assert losses[0] - losses[1] == pytest.approx(share * pixels, rel=1e-3)


def test_the_ends_of_the_dial_have_their_shares(pool: PatchPool, critics):
    made = task(pool, DialTaskConfig(natural_share=0.5, faithful_share=0.25))
    balances = made._balances(torch.zeros(4000, 1))
    assert abs((balances == 1).float().mean() - 0.5) < 0.05
    assert abs((balances == 0).float().mean() - 0.25) < 0.05
    assert ((balances >= 0) & (balances <= 1)).all()


def test_only_the_first_candidates_count():
    drawn = Drawn(torch.rand(2, 4, 3, 8, 8), torch.rand(2, 3, 8, 8), torch.rand(2, 5, 2, 2))
    lead, mean, deviation, *_ = inputs(drawn, torch.rand(2, 3, 2, 2), torch.tensor([1, 3]))
    assert torch.equal(lead, drawn.candidates[:, 0])
    assert torch.allclose(mean[0], lead[0]) and (deviation[0] == 0).all()
    three = drawn.candidates[1, :3]
    assert torch.allclose(mean[1], three.mean(0)) and torch.allclose(deviation[1], three.std(0, unbiased=False))


@pytest.mark.parametrize("share", [-0.1, 1.1])
def test_a_share_is_one(share: float):
    with pytest.raises(UsageError, match="between 0 and 1"):
        DialTaskConfig(coarse_share=share)


def test_small_patches_are_refused(pool: PatchPool):
    with pytest.raises(UsageError, match="at least"):
        task(pool, patch=32)
