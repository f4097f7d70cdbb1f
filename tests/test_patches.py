from __future__ import annotations

import numpy as np
import pytest
import torch

from srspace.data.patches import MixedPool, PatchPool, blended, degrade, mixed_pool, permuted_channels, pool_of, stretch
from srspace.data.render import render_tiles
from srspace.resize import imresize


@pytest.fixture(scope="module")
def base() -> PatchPool:
    return pool_of(render_tiles(4, 96, seed=1), 4)


def test_rendered_tiles_depend_on_seed_and_place_alone():
    few, many = render_tiles(3, 64, seed=7), render_tiles(6, 64, seed=7)
    assert few.shape == (3, 3, 64, 64) and few.dtype == torch.uint8
    assert torch.equal(few, many[:3]) and not torch.equal(few, render_tiles(3, 64, seed=8))
    assert (many.float().flatten(1).std(1) > 1).sum() >= 4


def test_a_mixed_pool_gives_every_pool_its_share(base: PatchPool):
    pools = tuple(PatchPool(torch.full_like(base.hr, 50 * i), torch.full_like(base.lr, 50 * i)) for i in range(3))
    hr, lr = MixedPool(pools, (0.5, 0.25, 0.25)).draw(8, 32)
    assert [(hr * 255).round().flatten(1)[i, 0].item() for i in range(8)] == [0] * 4 + [50] * 2 + [100] * 2
    assert lr.shape == (8, 3, 8, 8)


def test_mixing_reduces_renders_and_degrades(base: PatchPool):
    pool = mixed_pool(base, reductions=(0.5,), rendered=2, rendered_share=0.2, degraded_share=0.1)
    assert isinstance(pool, MixedPool)
    assert [p.hr.shape[-1] for p in pool.pools] == [96, 48, 96]
    assert pool.shares == pytest.approx((0.4, 0.4, 0.2)) and len(pool) == 10
    assert all(torch.equal(p.lr, imresize(p.hr, 0.25)) for p in pool.pools)
    assert all(p.degraded is not None and p.degraded_share == 0.1 for p in pool.pools)
    assert mixed_pool(base) is base
    uneven = mixed_pool(base, reductions=(0.5, 0.75), reduced_share=0.8)
    assert isinstance(uneven, MixedPool) and uneven.shares == pytest.approx((0.2, 0.4, 0.4))
    with pytest.raises(ValueError, match="reductions"):
        mixed_pool(base, reductions=(1.5,))


def test_stretched_photographs_have_their_share_and_clip_at_both_ends(base: PatchPool):
    pool = mixed_pool(base, rendered=2, rendered_share=0.2, stretched_share=0.3)
    assert isinstance(pool, MixedPool) and pool.shares == pytest.approx((0.5, 0.2, 0.3))
    assert torch.equal(pool.pools[2].lr, imresize(pool.pools[2].hr, 0.25))
    ramp = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16).expand(5, 3, 16, 16)
    harsh = stretch(ramp, seed=1)
    assert torch.equal(harsh, stretch(ramp, seed=1)) and not torch.equal(harsh[0], harsh[1])
    for image in harsh:
        assert image.min() == 0 and image.max() == 255 and (image.flatten().diff()[:255] >= 0).all()
        assert ((image == 0) | (image == 255)).float().mean() > 0.3
    with pytest.raises(ValueError, match="photographs"):
        mixed_pool(base, rendered=2, rendered_share=0.6, stretched_share=0.4)


def test_degraded_images_differ_a_little_and_only_where_asked_for(base: PatchPool):
    worse = degrade(base.lr, seed=3)
    error = (worse.int() - base.lr.int()).abs().float().flatten(1).mean(1)
    assert (error > 0).all() and error.max() < 30 and torch.equal(worse, degrade(base.lr, seed=3))
    torch.manual_seed(0)
    always = PatchPool(base.hr, base.lr, worse, 1.0)
    hr, lr = always.draw(8, 96)
    clean = imresize(hr, 0.25)
    assert (lr - clean).abs().flatten(1).mean(1).min() > 1 / 2550
    torch.manual_seed(0)
    assert torch.equal(PatchPool(base.hr, base.lr).draw(8, 96)[0], hr)


def test_noise_and_jpeg_alternate(base: PatchPool):
    grey = torch.full((2, 3, 40, 40), 128, dtype=torch.uint8)
    jpeg, noise = degrade(grey, seed=0).float()
    assert jpeg.std() < 1 and 0.3 < noise.std() < 7
    assert np.allclose(noise.mean().item(), 128, atol=1)


def test_permuted_channels_stay_together_in_a_pair():
    torch.manual_seed(0)
    marked = torch.arange(36.0).view(12, 3, 1, 1)
    hr, lr = permuted_channels(marked.expand(12, 3, 8, 8), marked.expand(12, 3, 2, 2))
    assert torch.equal(hr[..., 0, 0], lr[..., 0, 0])
    assert torch.equal(hr[..., 0, 0].sort(1).values, marked[..., 0, 0])
    assert len({tuple(row.argsort().tolist()) for row in hr[..., 0, 0]}) > 2


def test_a_share_of_the_pairs_has_permuted_channels(base: PatchPool):
    marks = torch.tensor([10, 20, 30], dtype=torch.uint8).view(1, 3, 1, 1)
    marked = PatchPool(marks.expand(1, 3, 16, 16), marks.expand(1, 3, 4, 4), permuted_share=0.5)
    torch.manual_seed(0)
    hr, lr = marked.draw(400, 8)
    assert torch.equal(hr[..., 0, 0], lr[..., 0, 0])
    natural = (hr[:, :, 0, 0] * 255).round().eq(marks[0, :, 0, 0]).all(1).float().mean()
    assert 0.5 < natural < 0.66  # one in six of the permuted ones is as it was
    mixed = mixed_pool(base, reductions=(0.5,), permuted_share=0.25)
    assert [p.permuted_share for p in mixed.pools] == [0.25, 0.25]
    with pytest.raises(ValueError, match="permuted"):
        mixed_pool(base, permuted_share=1.5)


def test_the_lr_of_a_blend_is_the_blend_of_the_lr():
    torch.manual_seed(0)
    tiles = torch.rand(8, 3, 12, 12).repeat_interleave(4, 2).repeat_interleave(4, 3).mul(255).byte()
    pairs = pool_of(tiles, 4)
    hr, lr = blended(pairs.hr.float() / 255, pairs.lr.float() / 255)
    assert (hr - pairs.hr / 255).abs().flatten(1).amax(1).gt(0.1).sum() > 4
    reduced = imresize((hr * 255).round().byte(), 0.25).float() / 255
    assert (reduced - lr).abs().max() < 2.1 / 255
    assert torch.equal((lr * 255).round() / 255, lr)


def test_a_share_of_the_pairs_is_blended(base: PatchPool):
    marks = torch.arange(0, 256, 5, dtype=torch.uint8).view(-1, 1, 1, 1)
    pool = PatchPool(marks.expand(-1, 3, 16, 16), marks.expand(-1, 3, 4, 4))
    torch.manual_seed(0)
    mixed = MixedPool((pool,), (1.0,), 0.5)
    hr, lr = mixed.draw(400, 8)
    assert (hr[..., 0, 0] - lr[..., 0, 0]).abs().max() <= 0.51 / 255
    untouched = (hr[:, 0, 0, 0] * 51 - (hr[:, 0, 0, 0] * 51).round()).abs() < 1e-4
    assert 0.4 < untouched.float().mean() < 0.6
    assert isinstance(mixed_pool(base, blended_share=0.2), MixedPool)
    with pytest.raises(ValueError, match="blended"):
        mixed_pool(base, blended_share=-0.1)
