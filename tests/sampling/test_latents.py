from __future__ import annotations

import pytest
import torch

from srspace.sampling import draw_latents, latents
from srspace.sampling.latents import Draw, Latents

SHAPES = [(6, 40, 60), (24, 20, 30)]
CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(latents, "BLOCK", 8)


def test_any_part_is_cut_from_the_whole():
    whole = draw_latents(SHAPES, seed=5, index=3, temperature=0.7)
    source = Latents(SHAPES, (20, 30), seed=5, device=CPU)
    for rows, columns in ((slice(0, 20), slice(0, 30)), (slice(3, 17), slice(8, 16)), (slice(19, 20), slice(0, 1))):
        fine, coarse = source.request([Draw(0, 0.7), Draw(3, 0.7)], rows, columns).get()
        assert torch.equal(coarse[1], whole[1][:, rows, columns])
        doubled = (slice(2 * rows.start, 2 * rows.stop), slice(2 * columns.start, 2 * columns.stop))
        assert torch.equal(fine[1], whole[0][:, doubled[0], doubled[1]])


def test_latents_are_standard_normal_and_unlike_between_keys():
    a = torch.cat([z.flatten() for z in draw_latents(SHAPES, seed=0, index=0, temperature=1.0)])
    assert abs(a.mean()) < 0.02 and abs(a.std() - 1) < 0.02
    others = [{"seed": 1}, {"index": 1}, {"attempt": 1}]
    for change in others:
        b = draw_latents(SHAPES, **{"seed": 0, "index": 0, "temperature": 1.0, **change})
        b = torch.cat([z.flatten() for z in b])
        assert abs((a * b).mean()) < 0.03, change
    blocks = draw_latents(SHAPES, seed=0, index=0, temperature=1.0)[1].unfold(1, 8, 8).unfold(2, 8, 8)
    assert not torch.equal(blocks[:, 0, 0], blocks[:, 0, 1]) and not torch.equal(blocks[:, 0, 0], blocks[:, 1, 0])


def test_temperature_only_scales():
    one = draw_latents(SHAPES, seed=3, index=2, temperature=1.0)
    half = draw_latents(SHAPES, seed=3, index=2, temperature=0.5)
    assert all(torch.equal(x * 0.5, y) for x, y in zip(one, half, strict=True))
    assert all(not z.any() for z in draw_latents(SHAPES, seed=3, index=2, temperature=0.0))


def test_a_mirrored_draw_is_the_negative_of_the_other():
    source = Latents(SHAPES, (20, 30), seed=5, device=CPU)
    for rows, columns in ((slice(0, 20), slice(0, 30)), (slice(3, 17), slice(8, 16))):
        draws = [Draw(4, 0.7, 1), Draw(4, 0.7, 1, mirrored=True)]
        for level in source.request(draws, rows, columns).get():
            assert level[0].any() and torch.equal(level[0], -level[1])
