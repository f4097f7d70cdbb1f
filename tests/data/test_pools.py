from __future__ import annotations

from pathlib import Path

import pytest
import torch

from srspace.data.pools import Batches, MixedPool, Part, PatchPool, load_pool
from srspace.data.render import render_tiles
from srspace.errors import DataError
from srspace.resize import imresize


@pytest.fixture(scope="module")
def base() -> PatchPool:
    return PatchPool.of(render_tiles(4, 96, seed=1), 4)


def grey(value: int, side: int = 96) -> PatchPool:
    return PatchPool.of(torch.full((2, 3, side, side), value, dtype=torch.uint8), 4)


def test_crops_of_hr_and_lr_show_the_same_place():
    torch.manual_seed(0)
    coarse = 40 + 170 * torch.rand(4, 3, 12, 12)
    smooth = torch.nn.functional.interpolate(coarse, size=96, mode="bicubic").round().byte()
    hr, lr = Batches(PatchPool.of(smooth, 4), 16, 32).draw()
    assert (hr.shape, lr.shape) == ((16, 3, 32, 32), (16, 3, 8, 8))
    error = (imresize(hr, 0.25) - lr)[..., 2:-2, 2:-2].abs().flatten(1).amax(1)
    assert error.max() < 2.5 / 255


def test_crops_are_flipped_and_turned_in_all_eight_ways():
    corner = torch.zeros(1, 3, 8, 8, dtype=torch.uint8)
    corner[0, :, 0, 2] = 255  # its 8 images differ
    torch.manual_seed(0)
    hr, _ = PatchPool.of(corner, 4).draw(100, 8)
    assert len({tuple(image[0].nonzero()[0].tolist()) for image in hr}) == 8


def test_a_degraded_version_has_its_share(base: PatchPool):
    torch.manual_seed(0)
    marked = PatchPool(base.hr, torch.zeros_like(base.lr), torch.full_like(base.lr, 255), 0.3)
    _, lr = marked.draw(400, 32)
    assert 0.2 < lr.flatten(1).amax(1).mean() < 0.4


@pytest.mark.parametrize("patch", [30, 100])
def test_a_patch_must_fit(base: PatchPool, patch: int):
    with pytest.raises(ValueError, match=f"multiple of 4 and at most 96, not {patch}"):
        base.draw(1, patch)


def test_a_mixed_pool_gives_every_part_its_share():
    parts = [Part(grey(0), 0.5), Part(grey(50), 0.25), Part(grey(100), 0.25)]
    hr, lr = MixedPool(tuple(parts)).draw(8, 32)
    assert (hr[:, 0, 0, 0] * 255).round().tolist() == [0] * 4 + [50] * 2 + [100] * 2
    assert lr.shape == (8, 3, 8, 8)


def test_a_further_source_takes_its_share_from_photographs():
    pool = MixedPool.of(grey(0)).with_source(grey(1), 0.2).with_source(grey(2), 0.3)
    assert [part.share for part in pool.parts] == pytest.approx([0.5, 0.2, 0.3]) and len(pool) == 6
    with pytest.raises(ValueError, match="left for photographs"):
        pool.with_source(grey(3), 0.5)


def test_changes_reach_both_versions_and_lr_stays_in_8_bits():
    def halved(images: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        return tuple(image / 2 for image in images)

    hr, lr = MixedPool(MixedPool.of(grey(101)).parts, (halved,)).draw(2, 32)
    assert hr.unique().item() == pytest.approx(50.5 / 255) and (lr * 255).unique().item() == 50


def test_damage_makes_the_lr_of_the_changed_hr(base: PatchPool):
    seen: list[torch.Tensor] = []

    def damage(hr: torch.Tensor) -> torch.Tensor:
        seen.append(hr)
        return hr[..., ::4, ::4] * 0.3

    def inverted(images: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        (hr,) = images
        return (1 - hr,)

    pool = MixedPool(MixedPool.of(base).parts, (inverted,), damage)
    torch.manual_seed(0)
    hr, lr = pool.draw(4, 32)
    torch.manual_seed(0)
    assert torch.equal(hr, 1 - base.draw_hr(4, 32)) and torch.equal(seen[0], hr)
    assert (lr - hr[..., ::4, ::4] * 0.3).abs().max() <= 0.51 / 255


def test_a_folder_is_read_into_tiles(tmp_path: Path, photograph):
    photograph((100, 130)).save(tmp_path / "a.png")
    (tmp_path / "below").mkdir()
    photograph((64, 70)).save(tmp_path / "below" / "b.png")
    photograph((40, 200)).save(tmp_path / "small.png")
    done: list[float] = []
    pool = load_pool(tmp_path, scale=4, tile=64, progress=done.append)
    assert pool.hr.shape == (3, 3, 64, 64) and pool.lr.shape == (3, 3, 16, 16)
    assert torch.equal(pool.lr, imresize(pool.hr, 0.25))
    assert done == pytest.approx([1 / 3, 2 / 3, 1])
    with pytest.raises(ValueError, match="multiple of the scale"):
        load_pool(tmp_path, scale=4, tile=66)
    with pytest.raises(DataError, match="no picture of at least 512x512"):
        load_pool(tmp_path, scale=4, tile=512)
