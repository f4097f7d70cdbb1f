from __future__ import annotations

import errno
import os

import pytest
import torch

from srspace.collapse import Spool, StackSink, spool
from srspace.config import SamplingConfig
from srspace.errors import ResourceError
from srspace.modes import SinkMaker
from srspace.sampling import Sampler
from tests.toy import ToyModel, pixel_of, smooth

LR = smooth(24, 30)
STACK = SinkMaker(5, lambda inputs: StackSink(5, lambda stack: stack), stacked=True)


@pytest.fixture(params=["memory", "file"])
def place(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "file":
        monkeypatch.setattr(spool, "available_memory", lambda device: 1000)
    return request.param


@pytest.mark.parametrize("tile", [0, 16])
def test_candidates_are_handed_out_in_order_once_all_are_final(place: str, tile: int):
    # The third candidate breaks in the last tile alone, so the first tile is filled a second time.
    broken = 3 * 5 + 2 if tile else 2
    with Spool(5, 96, 120) as gathered:
        drawing = Sampler(ToyModel({broken: pixel_of(2.5, 70, 80)}), LR, SamplingConfig(tile=tile, batch_size=2))
        stack, nothing = drawing.collapse_all([STACK, gathered.maker])
        assert [redraw.index for redraw in drawing.redraws] == [2]
        assert nothing.shape == (0, 96, 120)
        candidates = list(gathered)
        assert gathered.maker.pictures == (5 if place == "memory" else 0)
    assert len(candidates) == 5 and all(torch.equal(a, b) for a, b in zip(candidates, stack, strict=True))


def test_what_is_handed_out_is_the_receivers_own(place: str):
    with Spool(2, 96, 120) as gathered:
        Sampler(ToyModel(), LR, SamplingConfig()).collapse(gathered.maker)
        first = next(iter(gathered))
        first.fill_(7)
        assert next(iter(gathered)).max() <= 1
    assert first.min() == 7


def test_a_limit_on_memory_sends_candidates_to_the_file(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(spool, "used_memory", lambda device: 1 << 30)
    free = 4 * 5 * 4 * 3 * 96 * 120
    with Spool(5, 96, 120, limit=(1 << 30) + free) as inside, Spool(5, 96, 120, limit=(1 << 30) + free - 1) as outside:
        assert (inside.maker.pictures, outside.maker.pictures) == (5, 0)


def test_without_candidates_nothing_is_kept():
    with Spool(0, 96, 120, limit=1) as gathered:
        assert list(gathered) == [] and gathered.maker.pictures == 0


def test_memory_that_is_not_there_sends_candidates_to_the_file(monkeypatch: pytest.MonkeyPatch):
    def refuse(*given, **named):
        raise MemoryError

    with monkeypatch.context() as patched:
        patched.setattr(spool.np, "empty", refuse)
        gathered = Spool(2, 96, 120)
    with gathered:
        Sampler(ToyModel(), LR, SamplingConfig()).collapse(gathered.maker)
        assert len(list(gathered)) == 2 and gathered.maker.pictures == 0


def test_a_full_disk_is_told_before_any_work(monkeypatch: pytest.MonkeyPatch):
    def full(*given):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(spool, "available_memory", lambda device: 1000)
    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    with pytest.raises(ResourceError, match=r"no room for .* GiB of candidates"):
        Spool(2, 96, 120)


def test_a_closed_spool_holds_nothing(place: str):
    with Spool(2, 96, 120) as gathered:
        pass
    with pytest.raises(ValueError, match="closed"):
        next(iter(gathered))
