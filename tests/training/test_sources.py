from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from srspace.config import TrainConfig
from srspace.data.augment import Blended, Degraded, Permuted, Reduced, Rendered, Stretched
from srspace.errors import UsageError
from srspace.resize import imresize
from srspace.training.settings import DataConfig
from srspace.training.sources import Sources, augmentations

TRAIN = TrainConfig(batch_size=3, patch=32, seed=5)


def test_augmentations_are_those_of_the_configuration():
    assert augmentations(DataConfig(), 5) == []
    everything = DataConfig(
        reductions=(0.5,), reduced_share=0.3, rendered=4, rendered_share=0.2, stretched_share=0.1, degraded_share=0.4,
        permuted_share=0.6, blended_share=0.7,
    )  # fmt: skip
    assert augmentations(everything, 5) == [
        Reduced((0.5,), 0.3), Rendered(4, 0.2, 5), Stretched(0.1, 5), Degraded(0.4, 5), Permuted(0.6), Blended(0.7)
    ]  # fmt: skip


def test_batches_and_held_out_pairs_come_from_folders(photos: Path):
    told: list[str] = []
    sources = Sources(
        (photos,), photos, DataConfig(tile=64), TRAIN, progress=lambda what, share: told.append(f"{what} {share:.2f}")
    )
    hr, lr = sources.batches(4).draw()
    assert hr.shape == (3, 3, 32, 32) and lr.shape == (3, 3, 8, 8)
    pairs = sources.pairs(4)
    assert pairs is not None and pairs[0].shape == (3, 3, 64, 64)
    assert replace(sources, held_out=None).pairs(4) is None
    reading = [f"reading {photos} {share}" for share in ("0.00", "0.33", "0.67", "1.00")]
    assert told == reading * 2


def test_damage_is_drawn_afresh_in_batches_and_stays_in_held_out_pairs(photos: Path):
    sources = Sources((photos,), photos, DataConfig(tile=64, damage="real"), TRAIN)
    pairs, again = sources.pairs(4), replace(sources, train=replace(TRAIN, seed=9)).pairs(4)
    assert pairs is not None and again is not None and torch.equal(pairs[1], again[1])
    clean = imresize(pairs[0], 0.25)
    assert (pairs[1] - clean).abs().mean() > 0.005
    jagged = replace(sources, data=replace(sources.data, jagged_share=1.0))
    assert torch.equal(jagged.pairs(4)[1], pairs[1]), "figures of trainings stay comparable"
    seen = [s.pool(s.folder(), 4).damage.config.jagged for s in (sources, jagged)]
    assert seen == [0.0, 1.0]
    state = torch.get_rng_state()
    sources.pairs(4)
    assert torch.equal(torch.get_rng_state(), state)
    batches = sources.batches(4)
    hr, lr = batches.draw()
    assert lr.shape == (3, 3, 8, 8) and (lr - imresize(hr, 0.25)).abs().mean() > 0.002
    assert torch.equal((lr * 255).round() / 255, lr)


def test_what_does_not_fit_together_is_refused(photos: Path):
    sources = Sources((photos,), None, DataConfig(tile=64), TRAIN)
    for broken, message in (
        (replace(sources, train=replace(TRAIN, patch=128)), "the tile the larger"),
        (replace(sources, train=replace(TRAIN, patch=30)), "multiples of 4"),
        (replace(sources, data=DataConfig(tile=64, reductions=(0.4,))), "at least 0.5"),
        (replace(sources, folders=(photos, photos)), "one folder of pictures, not 2"),
    ):
        with pytest.raises(UsageError, match=message):
            broken.batches(4)
    with pytest.raises(UsageError, match="cannot be combined with real damage"):
        DataConfig(damage="real", degraded_share=0.1)
    with pytest.raises(UsageError, match="without antialiasing"):
        DataConfig(jagged_share=1.5)
