from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from srspace.assessment.crops import crops_of
from srspace.config import AssessorConfig, TrainConfig
from srspace.data.pools import Batches, MixedPool, PatchPool
from srspace.data.render import render_tiles
from srspace.errors import UsageError
from srspace.images import Picture
from srspace.models import Assessor
from srspace.models.statistics import COUNT
from srspace.training.assessor import AssessorTask, _mirrored
from srspace.training.loop import Loop
from srspace.training.settings import AssessorTaskConfig
from tests.training.conftest import EXACT

CONFIG = AssessorTaskConfig(examples=12, clean_share=0.25, weak_share=0.25)
SETTINGS = TrainConfig(iterations=2, batch_size=4, patch=128, warmup=1, log_every=1, validate_every=2, save_every=2)


@pytest.fixture(scope="module")
def tiles() -> torch.Tensor:
    return render_tiles(4, 160)


def task(tiles: torch.Tensor, config: AssessorTaskConfig = CONFIG, patch: int = 128) -> AssessorTask:
    torch.manual_seed(0)
    pool = PatchPool.of(tiles, 4)
    held_out = tiles[:, :, :128, :128].float() / 255, PatchPool.of(tiles[:, :, :128, :128].contiguous(), 4).lr / 255
    return AssessorTask(
        Assessor(AssessorConfig(width=4)), Batches(MixedPool.of(pool), 4, patch), config,
        held_out=held_out,
    )  # fmt: skip


def test_examples_hold_their_shares_and_what_there_is_to_say(tiles: torch.Tensor):
    made = task(tiles)
    made.start(resumed=False)
    assert [way.shape for way in made.ways] == [(12, 1, COUNT), (12, 4, COUNT), (12, 1, COUNT)]
    gain, compressed, noise, *bands = made.targets.unbind(1)
    clean = gain == -0.05
    assert clean.sum() == 3 and not made.targets[clean][:, 1:].abs().gt(1e-3).any()
    assert not torch.stack([gain, *bands]).isnan().any()
    for known in (compressed, noise):
        assert (known[~known.isnan()] >= 0).all()


def test_some_images_are_grey(tiles: torch.Tensor):
    def greys(share: float) -> int:
        levels, _ = task(tiles, replace(CONFIG, grey_share=share))._drawn(12)
        return int((levels.std(1) < 0.01).flatten(1).all(1).sum())

    assert greys(1.0) == 12 and greys(0.0) < 6


def test_damage_that_is_not_known_does_not_count(tiles: torch.Tensor):
    made = task(tiles)
    made.start(resumed=False)
    made.prepare(0)
    taken, targets = made.batch()
    unknown = targets.clone()
    unknown[:, 1:3] = torch.nan
    assert torch.isfinite(made.loss(taken, unknown))
    assert made.loss(taken, unknown) < made.loss(taken, unknown.nan_to_num(5.0))


def test_images_are_looked_at_in_turn_whole_in_quarters_and_by_a_crop(tiles: torch.Tensor):
    made = task(tiles)
    made.start(resumed=False)
    assert [made.prepare(i) for i in range(4)] == [0, 1, 2, 0]
    made.prepare(1)
    assert made.batch()[0].shape == (4, 4, COUNT)


def test_statistics_are_normalized_once(tiles: torch.Tensor):
    made = task(tiles)
    made.start(resumed=True)
    assert not made.network.centre.any(), "the weights of an interrupted run know their usual values"
    made.start(resumed=False)
    assert made.network.centre[0] > 9 and made.network.spread.min() > 0


def test_a_wrong_decision_costs_what_it_costs(tiles: torch.Tensor):
    made = task(tiles)
    taken, gain = torch.zeros(2, 1, COUNT), torch.tensor([0.03, -0.02])
    made.network.tail.weight.data.zero_()
    made.network.tail.bias.data.zero_()
    made.network.prior.data[0] = 5.0
    assert made._judged(taken, gain) == (0.5, pytest.approx(0.01))
    made.network.prior.data[0] = -5.0
    assert made._judged(taken, gain) == (0.5, pytest.approx(0.015))


def test_mistakes_about_clean_images_count_more(tiles: torch.Tensor):
    made = task(tiles)
    taken = torch.zeros(2, 1, COUNT)
    for parameter in made.network.parameters():
        parameter.data.zero_()
    made.network.tail.bias.data[0], made.network.prior.data[0] = -30.0, 3.0
    both = torch.tensor([[-0.05, 0, 0, 0, 0], [0.05, 0, 0, 0, 0]])
    alike = torch.tensor([[-0.0499, 0, 0, 0, 0], [0.05, 0, 0, 0, 0]])
    assert made.loss(taken, both) > made.loss(taken, alike) * 1.05


@pytest.mark.parametrize("side", [8, 9, 23, 24, 30])
def test_tiny_crops_are_mirrored_as_tiny_pictures_are(side: int):
    rgb = np.random.default_rng(0).integers(0, 256, (side, side, 3)).astype(np.float32)
    (seen,) = crops_of(Picture(rgb / 255))
    levels = torch.from_numpy(rgb).permute(2, 0, 1)[None]
    assert torch.equal(_mirrored(levels)[0].permute(1, 2, 0), torch.from_numpy(seen))


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
    with pytest.raises(UsageError, match="grey"):
        AssessorTaskConfig(grey_share=1.5)
    with pytest.raises(UsageError, match="2 examples"):
        AssessorTaskConfig(examples=1)


def test_an_interrupted_training_goes_on_with_the_same_usual_values(tiles: torch.Tensor, tmp_path: Path):
    Loop(task(tiles), replace(SETTINGS, iterations=1), tmp_path, execution=EXACT).run()
    again = task(tiles)
    before = Loop(again, SETTINGS, tmp_path, execution=EXACT)
    assert before.resume() and again.network.centre.abs().max() > 0
    centre = again.network.centre.clone()
    before.run()
    assert torch.equal(again.network.centre, centre)
