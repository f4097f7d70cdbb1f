from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

import srspace
from srspace.config import FusionConfig
from srspace.data.pools import PatchPool
from srspace.errors import UsageError
from srspace.models import Fusion, FusionNet, SetFusionNet
from srspace.training.candidate_pool import CandidateDrawing, CandidatePool, FlowPictures
from srspace.training.candidates import CandidateSource
from srspace.training.fusion import FusionTask
from srspace.training.loop import Loop
from srspace.training.settings import FusionTaskConfig
from tests.networks import small_flow
from tests.training.conftest import EXACT, SHORT, picture_flow


def drawing(pool: PatchPool, *, samples: int = 4, patch: int = 32) -> CandidateDrawing:
    return CandidateDrawing((FlowPictures(CandidateSource(small_flow()), pool),), samples, patch)


def stack(samples: int = 3) -> Fusion:
    return FusionNet(FusionConfig(samples=samples, channels=8))


def any_number() -> Fusion:
    return SetFusionNet(FusionConfig(samples=None, channels=8, blocks=1, embedding=4))


@pytest.mark.parametrize("loss", ["l1", "lpips"])
def test_training(pool: PatchPool, tmp_path: Path, loss, critics):
    config = FusionTaskConfig(loss=loss, pixel_weight=0.5, patches=2, refresh=0, judge="squeeze")
    task = FusionTask(stack(), drawing(pool, patch=64), 2, config, held_out=pool.draw(2, 64))
    record = Loop(task, SHORT, tmp_path, execution=EXACT).run()
    assert record["iteration"] == 6 and {"val_psnr_fusion", "val_psnr_mean", "val_squeeze_sample"} <= set(record)
    assert ("val_alex_fusion" in record) is (loss == "lpips")
    saved = srspace.load_fusion(tmp_path)
    assert saved.config.samples == 3
    assert (tmp_path / "best" / "model.safetensors").exists()


def test_training_lowers_the_distance(pool: PatchPool, tmp_path: Path):
    config = FusionTaskConfig(patches=8, refresh=0)
    task = FusionTask(any_number(), drawing(pool, samples=3), 4, config)
    seen: list[float] = []
    settings = replace(SHORT, iterations=60, log_every=20, validate_every=60, learning_rate=3e-3)
    Loop(task, settings, tmp_path, execution=EXACT, report=lambda record: seen.append(record["loss"])).run()
    assert seen[-1] < 0.8 * seen[0]


def test_the_best_network_has_the_highest_psnr_or_the_lowest_distance(pool: PatchPool, critics):
    fidelity = FusionTask(stack(), drawing(pool), 2, FusionTaskConfig(loss="l1"))
    assert fidelity.validate() == {}
    assert fidelity.score({"val_psnr_fusion": 30.0}) < fidelity.score({"val_psnr_fusion": 29.0})
    natural = FusionTask(stack(), drawing(pool, patch=64), 2, FusionTaskConfig(loss="lpips"))
    near, far = ({"val_alex_fusion": d, "val_squeeze_fusion": d, "val_psnr_fusion": 30 * d} for d in (0.1, 0.2))
    assert natural.score(near) < natural.score(far)


def test_lpips_and_the_pixel_term_add_up(pool: PatchPool, critics):
    task = FusionTask(stack(), drawing(pool, patch=64), 2, FusionTaskConfig(loss="lpips", patches=2, refresh=0))
    task.start(resumed=False)
    stacks, hr = task.batch()
    values = []
    for weight in (0.0, 2.0):
        task.config = replace(task.config, pixel_weight=weight)
        torch.manual_seed(0)
        values.append(task.loss(stacks, hr))
    pixel = (stacks.mean(1) - hr)[..., 8:-8, 8:-8].abs().mean()  # a fresh network puts out the mean
    assert torch.isclose(values[1] - values[0], 2 * pixel, atol=1e-5)


def test_fresh_candidates_replace_the_oldest(pool: PatchPool):
    source = CandidateSource(small_flow())
    stacks, fresh = (CandidatePool.drawn(source, *pool.draw(n, 48), 3, (0.9,)) for n in (4, 3))
    before = stacks.hr.clone()
    stacks.replace(2, fresh)
    assert torch.equal(stacks.hr[[2, 3, 0]], fresh.hr) and torch.equal(stacks.hr[1], before[1])


def test_patches_are_refreshed_all_along(pool: PatchPool):
    task = FusionTask(any_number(), drawing(pool), 2, FusionTaskConfig(patches=5, refresh=2))
    task.start(resumed=False)
    changed = []
    for iteration in range(31):
        before = task.pool.hr.clone()
        task.prepare(iteration)
        if not torch.equal(task.pool.hr, before):
            changed.append((iteration, (task.pool.hr != before).flatten(1).any(1).nonzero().flatten().tolist()))
    assert changed == [(10, [2, 3]), (20, [0, 4]), (30, [1, 2])]


def test_a_network_for_any_number_sees_any_number_and_the_usual_one_most(pool: PatchPool):
    task = FusionTask(any_number(), drawing(pool, samples=9), 2, FusionTaskConfig(samples=6, patches=1, refresh=0))
    task.start(resumed=False)
    torch.manual_seed(0)
    numbers = [task.prepare(i) for i in range(1, 200)]
    assert set(numbers) == set(range(2, 10)) and 0.4 < numbers.count(6) / len(numbers) < 0.7
    assert task.batch()[0].shape[1] == numbers[-1]
    fixed = FusionTask(stack(), drawing(pool), 2, FusionTaskConfig(patches=1, refresh=0))
    fixed.start(resumed=False)
    assert {fixed.prepare(i) for i in range(9)} == {3} and fixed.batch()[0].shape[1] == 3


def test_a_stack_keeps_to_its_patch(pool: PatchPool):
    greys = torch.arange(4).view(4, 1, 1, 1) * 60
    hr = greys.expand(4, 3, 16, 16).byte()
    candidates = (greys[:, None] + torch.arange(5).view(1, 5, 1, 1, 1)).expand(4, 5, 3, 16, 16).byte()
    torch.manual_seed(0)
    stacks, originals = CandidatePool(candidates, hr).draw(12, 3)
    assert stacks.shape == (12, 3, 3, 16, 16)
    offsets = ((stacks - originals[:, None]) * 255).round()[..., 0, 0, 0]
    assert ((offsets >= 0) & (offsets < 5)).all() and all(len(set(row.tolist())) == 3 for row in offsets)


def test_each_flow_draws_from_pictures_of_its_own():
    """What a flow was trained on it knows by heart, and a fusion network learns nothing from that."""

    def pictures(grey: int, seed: int) -> FlowPictures:
        tiles = torch.full((1, 3, 64, 64), grey, dtype=torch.uint8)
        return FlowPictures(CandidateSource(flows[seed]), PatchPool.of(tiles, 4))

    flows = [picture_flow(), small_flow(seed=1)]
    drawn = CandidateDrawing((pictures(40, 0), pictures(200, 1)), 2, 32, (0.0,)).draw(5)
    assert [round(x.float().mean().item()) for x in drawn.hr] == [40, 40, 200, 200, 200]
    greys = torch.tensor([40, 200])
    lr = (greys / 255).view(2, 1, 1, 1).expand(2, 3, 8, 8)
    expected = [CandidateSource(flows[i]).draw(lr[i : i + 1], 1, [0.0]).candidates.mean() for i in (0, 1)]
    means = drawn.candidates.float().mean((1, 2, 3, 4)) / 255
    assert torch.allclose(means, torch.stack([expected[0]] * 2 + [expected[1]] * 3), atol=0.01)
    assert abs(expected[0] - expected[1]) > 0.1


def test_mistakes_are_refused(pool: PatchPool):
    with pytest.raises(UsageError, match="takes 8 candidates, but 4 are drawn"):
        FusionTask(stack(8), drawing(pool), 2, FusionTaskConfig())
    with pytest.raises(UsageError, match="at least 56 pixels wide, not 32"):
        FusionTask(stack(), drawing(pool), 2, FusionTaskConfig(loss="lpips"))
    with pytest.raises(UsageError, match="all 4 patches can be replaced"):
        FusionTaskConfig(patches=4, refresh=5)
