from __future__ import annotations

import pytest
import torch

from srspace.sampling import defects, plan_tiles
from tests.toy import patch_shifted, smooth
from tests.waiting import NoWaiting

(WHOLE,) = plan_tiles(24, 30, 0)


@pytest.fixture
def lr() -> torch.Tensor:
    return smooth(24, 30)


@pytest.fixture
def good(lr: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.interpolate(lr[None], scale_factor=4, mode="nearest")[0]


def found(images: torch.Tensor, lr: torch.Tensor, tile=WHOLE) -> list[str | None]:
    findings = defects.examine(images, lr[None], tile, 4)
    reasons = [defects.described(*row) for row in findings.tolist()]
    assert [reason is None for reason in reasons] == defects.usable(findings).tolist()
    return reasons


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_what_is_not_finite_is_found(value: float, lr: torch.Tensor, good: torch.Tensor):
    broken = good.clone()
    broken[1, 95, 119] = value
    assert found(torch.stack((good, broken)), lr) == [None, "values that are not finite"]


@pytest.mark.parametrize("value", [-1.1, 2.1])
def test_what_is_far_out_of_range_is_found(value: float, lr: torch.Tensor, good: torch.Tensor):
    broken, near = good.clone(), good.clone()
    broken[1, 50, 50], near[1, 50, 50] = value, value * 0.9
    plain, reason = found(torch.stack((near, broken)), lr)
    assert plain is None and reason is not None and "out of range" in reason and f"{value:.2g}" in reason


def test_a_patch_that_does_not_agree_with_the_input_is_found(lr: torch.Tensor, good: torch.Tensor):
    broken, small = good.clone(), good.clone()
    patch_shifted(0.25)(broken)
    patch_shifted(0.25, side=4)(small)
    plain, reason = found(torch.stack((small, broken)), lr)
    assert plain is None and reason is not None and "grey levels away from the input" in reason


def test_a_candidate_may_leave_out_what_the_encoder_leaves_out(lr: torch.Tensor, good: torch.Tensor):
    """Of noisy input, a model for damaged pictures draws clean candidates: they agree with the encoder's output."""
    noisy = (lr + 0.4 * torch.randn(lr.shape, generator=torch.Generator().manual_seed(0))).clamp(0, 1)
    broken = good.clone()
    patch_shifted(0.3)(broken)
    images = torch.stack((good, broken))
    expected = defects.references(noisy, good)
    findings = defects.examine(images, expected, WHOLE, 4)
    assert defects.usable(findings).tolist() == [True, False]
    assert found(images[:1], noisy) != [None]
    assert torch.allclose(defects.mended(broken, expected, good), good)


def test_margins_of_a_tile_are_thrown_away_and_so_not_looked_at(lr: torch.Tensor, good: torch.Tensor):
    tile = plan_tiles(24, 30, 10, margin=12)[0]
    assert tile.outer_rows.stop - tile.rows.stop == 12 and tile.rows.stop == 8
    outer, part = tile.cut(good, 4).clone(), tile.cut(lr)
    outer[0, -1, -1] = 5.0
    assert found(outer[None], part, tile) == [None]
    outer[0, 4 * tile.rows.stop - 1, 0] = 5.0
    assert found(outer[None], part, tile) != [None]
    outer = tile.cut(good, 4).clone()
    outer[:, 4 * tile.rows.stop + 16 :] += 0.3
    assert found(outer[None], part, tile) == [None]
    outer[:, 4 * tile.rows.stop - 16 :] += 0.3
    assert found(outer[None], part, tile) != [None]


def test_mending_keeps_what_is_sound(lr: torch.Tensor, good: torch.Tensor):
    regression = torch.zeros_like(good)
    broken = (good + 0.01).clone()
    broken[:, :8, :8] = torch.nan
    mended = defects.mended(broken, lr[None], regression)
    assert torch.equal(mended[:, :14, :14], regression[:, :14, :14])
    assert torch.allclose(mended[:, 48:, 48:], broken[:, 48:, 48:])
    border = mended[0, 9, 9:48] / broken[0, 9, 9:48]
    assert border[0] == 0 and border[-1] == 1
    assert border.diff().min() > -1e-6 and border.diff().max() < 0.2, "there is no seam"


def test_mending_covers_the_surroundings_of_one_bad_value(lr: torch.Tensor, good: torch.Tensor):
    regression, broken = good + 0.02, good.clone()
    broken[1, 48, 60] = 2.5
    mended = defects.mended(broken, lr[None], regression)
    assert torch.equal(mended[:, 40:57, 52:69], regression[:, 40:57, 52:69])
    assert torch.equal(mended[:, :20], broken[:, :20]) and torch.equal(mended[..., 90:], broken[..., 90:])


def test_mending_covers_a_patch_that_is_only_wrong(lr: torch.Tensor, good: torch.Tensor):
    broken = good.clone()
    patch_shifted(0.3)(broken)
    mended = defects.mended(broken, lr[None], good)
    assert torch.allclose(mended, good)


def test_ranges_tell_per_image_without_waiting():
    images = torch.full((6, 3, 4, 4), 0.5)
    images[1, 2, 3, 3], images[2, 0, 0, 0], images[3, 0, 0, 0], images[4, 1, 1, 1] = 1.4, -0.4, torch.nan, 2.5
    images[5, 1, 1, 1] = torch.inf
    with NoWaiting():
        sound, usable = defects.SOUND.holds(images), defects.USABLE.holds(images)
        defects.usable(defects.examine(images, torch.full((1, 3, 1, 1), 0.5), plan_tiles(1, 1, 0)[0], 4))
    assert sound.shape == (6, 1, 1, 1)
    assert sound.flatten().tolist() == [True, False, False, False, False, False]
    assert usable.flatten().tolist() == [True, True, True, False, False, False]
