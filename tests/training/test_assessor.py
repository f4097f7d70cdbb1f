from __future__ import annotations

from pathlib import Path

import pytest
import torch

from srspace.config import AssessorConfig, TrainConfig
from srspace.data.pools import Batches, MixedPool, PatchPool
from srspace.data.render import render_tiles
from srspace.errors import UsageError
from srspace.models import Assessor
from srspace.training.assessor import AssessorTask
from srspace.training.loop import Loop
from srspace.training.settings import AssessorTaskConfig
from tests.training.conftest import EXACT

CONFIG = AssessorTaskConfig(patches=12, refresh=2, clean_share=0.25, weak_share=0.25)
SETTINGS = TrainConfig(iterations=2, batch_size=4, patch=128, warmup=1, log_every=1, validate_every=2, save_every=2)


@pytest.fixture(scope="module")
def tiles() -> torch.Tensor:
    return render_tiles(4, 160)


def task(tiles: torch.Tensor, config: AssessorTaskConfig = CONFIG, patch: int = 128) -> AssessorTask:
    torch.manual_seed(0)
    pool = PatchPool.of(tiles, 4)
    held_out = tiles[:, :, :128, :128].float() / 255, PatchPool.of(tiles[:, :, :128, :128].contiguous(), 4).lr / 255
    return AssessorTask(
        Assessor(AssessorConfig(filters=4, channels=4)), Batches(MixedPool.of(pool), 4, patch), config,
        held_out=held_out,
    )  # fmt: skip


def test_a_stock_holds_its_shares_and_what_there_is_to_say(tiles: torch.Tensor):
    made = task(tiles)
    made.start(resumed=False)
    assert made.images.shape == (12, 3, 32, 32) and made.images.dtype == torch.uint8
    gain, compressed, noise, *bands = made.targets.unbind(1)
    clean = gain == gain.min()
    assert clean.sum() == 3 and not made.targets[clean][:, 1:].abs().gt(1e-3).any()
    assert not torch.stack([gain, *bands]).isnan().any()
    for known in (compressed, noise):
        assert (known[~known.isnan()] >= 0).all()


def test_damage_that_is_not_known_does_not_count(tiles: torch.Tensor):
    made = task(tiles)
    made.start(resumed=False)
    made.prepare(0)
    crops, targets = made.batch()
    unknown = targets.clone()
    unknown[:, 1:3] = torch.nan
    assert torch.isfinite(made.loss(crops, unknown)) and made.loss(crops, unknown) < made.loss(
        crops, unknown.nan_to_num(5.0)
    )


def test_old_images_are_replaced_and_crops_have_several_sides(tiles: torch.Tensor):
    made = task(tiles)
    made.start(resumed=False)
    before = made.images.clone()
    assert [made.prepare(i) for i in range(3)] == [32, 24, 32]
    assert torch.equal(made.images, before)
    made.prepare(10)
    changed = (made.images != before).flatten(1).any(1)
    assert changed.tolist() == [False, False, True, True] + 8 * [False]
    made.prepare(11)
    assert made.batch()[0].shape == (4, 3, 24, 24)


def test_a_wrong_decision_costs_what_it_costs(tiles: torch.Tensor):
    made = task(tiles)
    images = torch.zeros(2, 3, 32, 32)
    made.network.prior.data[0] = 5.0
    made.network.tail.weight.data.zero_()
    made.network.tail.bias.data.zero_()
    gain = torch.tensor([0.03, -0.02])
    assert made._judged(images, gain) == (0.5, pytest.approx(0.01))
    made.network.prior.data[0] = -5.0
    assert made._judged(images, gain) == (0.5, pytest.approx(0.015))


def test_it_is_trained_and_validated(tiles: torch.Tensor, tmp_path: Path):
    made = task(tiles)
    record = Loop(made, SETTINGS, tmp_path, execution=EXACT).run()
    assert record["iteration"] == 2 and 0 <= record["val_cost"] <= 0.05
    assert {"val_clean_mistaken", "val_weak_mistaken", "val_damaged_mistaken"} <= set(record)
    assert (tmp_path / "best" / "model.safetensors").is_file()


def test_patches_must_hold_the_smallest_crop(tiles: torch.Tensor):
    with pytest.raises(UsageError, match="at least 96"):
        task(tiles, patch=64)
    with pytest.raises(UsageError, match="shares"):
        AssessorTaskConfig(clean_share=0.7, weak_share=0.7)
