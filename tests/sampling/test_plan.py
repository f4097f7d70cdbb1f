from __future__ import annotations

import pytest

from srspace import modes
from srspace.config import SamplingConfig
from srspace.errors import MemoryLimitError
from srspace.models import PreparedSRFlow, SRFlow
from srspace.modes import SinkMaker
from srspace.sampling import Plan, plan


@pytest.fixture
def prepared(model: SRFlow, monkeypatch: pytest.MonkeyPatch) -> PreparedSRFlow:
    monkeypatch.setattr(plan, "used_memory", lambda device: 0)
    return PreparedSRFlow(model)


def planned(prepared: PreparedSRFlow, limit: int, *makers: SinkMaker) -> Plan:
    return Plan.make(prepared, 2000, 2000, SamplingConfig(max_memory=limit), makers)


def pixels(plan: Plan) -> int:
    return max(tile.pixels for tile in plan.tiles)


@pytest.mark.parametrize("mode", ["mean", "median"])
def test_a_memory_limit_makes_tiles_that_fit(prepared: PreparedSRFlow, mode: str):
    maker = modes.find(mode).sink(25)
    conditions, transient, candidate = prepared.bytes_per_pixel()
    kept = conditions + 4 * 3 * 16 * (26 if maker.stacked else 2)
    loose = planned(prepared, 8 << 30, maker)
    for limit in (1500 << 20, 2 << 30):
        made = planned(prepared, limit, maker)
        result = 2000 * 2000 * (4 * 3 * 16 + 12)
        assert result + pixels(made) * (kept + max(transient, made.chunk * candidate)) <= limit
        assert len(made.tiles) >= len(loose.tiles)
    assert len(made.tiles) < len(planned(prepared, 1250 << 20, modes.find(mode).sink(10)).tiles)
    with pytest.raises(MemoryLimitError, match="too small") as caught:
        planned(prepared, 700 << 20, maker)
    assert caught.value.limit == 700 << 20 < caught.value.needed


def test_several_sinks_and_whole_pictures_take_more(prepared: PreparedSRFlow):
    mean, median = modes.find("mean").sink(25), modes.find("median").sink(25)
    one, both = (planned(prepared, 2 << 30, *makers) for makers in ((median,), (mean, median)))
    assert pixels(both) < pixels(one)
    spool = SinkMaker(1, mean.make, pictures=1)
    assert pixels(planned(prepared, 3 << 30, mean, spool)) < pixels(planned(prepared, 3 << 30, mean))
    with pytest.raises(MemoryLimitError):
        planned(prepared, 3 << 30, mean, SinkMaker(25, mean.make, pictures=25))


def test_a_smaller_plan_takes_about_half_until_there_is_none(prepared: PreparedSRFlow):
    made: Plan | None = Plan.make(prepared, 300, 200, SamplingConfig(tile=0), [modes.find("mean").sink(8)])
    sizes = []
    while made is not None:
        sizes.append(pixels(made))
        made, before = made.smaller(), made
    assert sizes == sorted(sizes, reverse=True) and len(sizes) > 4
    assert before.chunk == 1 and sizes[-1] <= (16 + 48) ** 2
