from __future__ import annotations

import numpy as np
import pytest
import torch

from srspace.data.augment import (
    Blended,
    Degraded,
    Permuted,
    Reduced,
    Rendered,
    Stretched,
    augmented,
    degrade,
    oriented,
    stretch,
)
from srspace.data.pools import MixedPool, PatchPool
from srspace.data.render import render_tiles
from srspace.resize import imresize


@pytest.fixture(scope="module")
def base() -> PatchPool:
    return PatchPool.of(render_tiles(4, 96, seed=1), 4)


def shares(pool: MixedPool) -> list[float]:
    return [part.share for part in pool.parts]


def test_photographs_come_at_several_sizes_and_rendered_pictures_beside_them(base: PatchPool):
    pool = augmented(base, [Reduced((0.5,)), Rendered(2, 0.2), Degraded(0.1)])
    assert [part.pool.hr.shape[-1] for part in pool.parts] == [96, 48, 96]
    assert shares(pool) == pytest.approx([0.4, 0.4, 0.2]) and len(pool) == 10
    assert all(torch.equal(part.pool.lr, imresize(part.pool.hr, 0.25)) for part in pool.parts)
    assert all(part.pool.degraded is not None and part.pool.degraded_share == 0.1 for part in pool.parts)
    assert shares(augmented(base, [])) == [1.0] and augmented(base, []).parts[0].pool is base
    assert shares(augmented(base, [Reduced((0.5, 0.75), 0.8)])) == pytest.approx([0.2, 0.4, 0.4])
    with pytest.raises(ValueError, match="reductions"):
        Reduced((1.5,))


def test_stretched_photographs_have_their_share_and_clip_at_both_ends(base: PatchPool):
    pool = augmented(base, [Rendered(2, 0.2), Stretched(0.3)])
    assert shares(pool) == pytest.approx([0.5, 0.2, 0.3])
    assert torch.equal(pool.parts[2].pool.lr, imresize(pool.parts[2].pool.hr, 0.25))
    ramp = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16).expand(5, 3, 16, 16)
    harsh = stretch(ramp, seed=1)
    assert torch.equal(harsh, stretch(ramp, seed=1)) and not torch.equal(harsh[0], harsh[1])
    for image in harsh:
        assert image.min() == 0 and image.max() == 255 and (image.flatten().diff()[:255] >= 0).all()
        assert ((image == 0) | (image == 255)).float().mean() > 0.3


def test_degraded_images_differ_a_little(base: PatchPool):
    worse = degrade(base.lr, seed=3)
    error = (worse.int() - base.lr.int()).abs().float().flatten(1).mean(1)
    assert (error > 0).all() and error.max() < 30 and torch.equal(worse, degrade(base.lr, seed=3))


def test_noise_and_jpeg_alternate():
    grey = torch.full((2, 3, 40, 40), 128, dtype=torch.uint8)
    jpeg, noise = degrade(grey, seed=0).float()
    assert jpeg.std() < 1 and 0.3 < noise.std() < 7
    assert np.allclose(noise.mean().item(), 128, atol=1)


def test_permuted_channels_stay_together_in_a_pair():
    torch.manual_seed(0)
    marked = torch.arange(36.0).view(12, 3, 1, 1)
    hr, lr = Permuted().change((marked.expand(12, 3, 8, 8), marked.expand(12, 3, 2, 2)))
    assert torch.equal(hr[..., 0, 0], lr[..., 0, 0])
    assert torch.equal(hr[..., 0, 0].sort(1).values, marked[..., 0, 0])
    assert len({tuple(row.argsort().tolist()) for row in hr[..., 0, 0]}) > 2


def test_a_share_of_the_pairs_has_permuted_channels():
    marks = torch.tensor([10, 20, 30], dtype=torch.uint8).view(1, 3, 1, 1)
    marked = PatchPool(marks.expand(1, 3, 16, 16), marks.expand(1, 3, 4, 4))
    torch.manual_seed(0)
    hr, lr = augmented(marked, [Permuted(0.5)]).draw(400, 8)
    assert torch.equal(hr[..., 0, 0], lr[..., 0, 0])
    natural = (hr[:, :, 0, 0] * 255).round().eq(marks[0, :, 0, 0]).all(1).float().mean()
    assert 0.5 < natural < 0.66  # one in six of the permuted ones is as it was
    with pytest.raises(ValueError, match="permuted"):
        Permuted(1.5)


def test_the_lr_of_a_blend_is_the_blend_of_the_lr():
    torch.manual_seed(0)
    tiles = torch.rand(8, 3, 12, 12).repeat_interleave(4, 2).repeat_interleave(4, 3).mul(255).byte()
    pairs = PatchPool.of(tiles, 4)
    hr, lr = Blended().change((pairs.hr.float() / 255, pairs.lr.float() / 255))
    assert (hr - pairs.hr / 255).abs().flatten(1).amax(1).gt(0.1).sum() > 4
    reduced = imresize((hr * 255).round().byte(), 0.25).float() / 255
    assert (reduced - lr).abs().max() < 2.1 / 255


def test_a_share_of_the_pairs_is_blended():
    marks = torch.arange(0, 256, 5, dtype=torch.uint8).view(-1, 1, 1, 1)
    pool = PatchPool(marks.expand(-1, 3, 16, 16), marks.expand(-1, 3, 4, 4))
    torch.manual_seed(0)
    hr, lr = augmented(pool, [Blended(0.5)]).draw(400, 8)
    assert (hr[..., 0, 0] - lr[..., 0, 0]).abs().max() <= 0.51 / 255
    untouched = (hr[:, 0, 0, 0] * 51 - (hr[:, 0, 0, 0] * 51).round()).abs() < 1e-4
    assert 0.4 < untouched.float().mean() < 0.6
    with pytest.raises(ValueError, match="blended"):
        Blended(-0.1)


def test_orientations_are_undone():
    torch.manual_seed(0)
    images = torch.rand(16, 2, 3, 5, 5)
    masks = [torch.rand(16) < 0.5 for _ in range(3)]
    turned = oriented(images, masks)
    assert torch.equal(oriented(turned, masks, back=True), images)
    assert sum(torch.equal(a, b) for a, b in zip(turned, images, strict=True)) < 6
