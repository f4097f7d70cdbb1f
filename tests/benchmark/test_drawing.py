from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch

from srspace import modes
from srspace.benchmark import Row, parse_rows
from srspace.benchmark.drawing import Drawing
from srspace.benchmark.methods import Methods
from srspace.benchmark.synthetic import grey_image, random_model
from srspace.collapse import sample, spool
from srspace.collapse.mean import MeanSink
from srspace.config import FlowConfig, RRDBConfig, SamplingConfig
from srspace.models import PreparedSRFlow
from srspace.modes import Mode
from srspace.sampling import Tile
from srspace.upscaler import Upscaler
from tests.benchmark.clock import Clock
from tests.benchmark.common import settings
from tests.benchmark.toy_mode import DIAL

CPU = torch.device("cpu")
LR = grey_image(20, 12)


@pytest.fixture(scope="module")
def upscaler() -> Upscaler:
    """Small random weights whose candidates differ, and none of which explodes on a grey picture."""
    sizes = RRDBConfig(nf=8, gc=4, nb=3), FlowConfig(steps=2, hidden_channels=8, stack_blocks=(0, 2))
    return Upscaler(random_model(*sizes), device="cpu", precision="fp32")


def methods_of(upscaler: Upscaler, **changes: object) -> Methods:
    methods = Methods(settings("bicubic", **changes), 4, CPU)
    methods.__dict__["upscaler"] = upscaler
    return methods


def rows_of(text: str) -> list[Row]:
    return parse_rows(text, temperature=0.9, scored=10)


def drawn(upscaler: Upscaler, text: str, lr: torch.Tensor = LR, **changes: object) -> Drawing:
    return Drawing(methods_of(upscaler, **changes), lr, rows_of(text), lambda share: None)


@pytest.fixture
def toys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(modes, "_registered", {DIAL.name: DIAL})


@pytest.mark.parametrize("tile", [None, 16])
def test_every_row_gets_what_upscaling_gives(upscaler: Upscaler, toys: None, tile: int | None):
    rows = rows_of("mean:2,mean:5,median:4,toy-dial:3,sample:4,sample:2")
    with drawn(upscaler, "mean:2,mean:5,median:4,toy-dial:3,sample:4,sample:2", tile=tile) as drawing:
        for row in rows[:4]:
            expected, _ = upscaler.collapse(LR, mode=row.kind, sampling=SamplingConfig(samples=row.samples, tile=tile))
            assert torch.allclose(drawing.image(row), expected, atol=1e-6), row.name
        candidates = sample(upscaler.prepared, LR, samples=4, tile=tile)
        for row in rows[4:]:
            results = list(drawing.results(row))
            assert len(results) == row.samples
            assert torch.allclose(torch.stack(results), candidates[: row.samples], atol=1e-6)
    assert not torch.equal(candidates[0], candidates[1])


def test_candidates_are_drawn_once_for_all_rows(upscaler: Upscaler, monkeypatch: pytest.MonkeyPatch):
    counts, decode = [], PreparedSRFlow.decode

    def counting(self: PreparedSRFlow, latents: Sequence[torch.Tensor], conditions: object) -> torch.Tensor:
        counts.append(len(latents[0]))
        return decode(self, latents, conditions)

    monkeypatch.setattr(PreparedSRFlow, "decode", counting)
    with drawn(upscaler, "sample:3,sample:4,mean:5,mean:2,median:4") as drawing:
        assert sum(counts) == drawing.count == 5 and not drawing.redraws


def test_a_mode_that_takes_one_candidate_is_applied_to_each(upscaler: Upscaler, monkeypatch: pytest.MonkeyPatch):
    negative = Mode("negative", "", f"{__name__}:negative", samples=1, fixed=True)
    monkeypatch.setattr(modes, "_registered", {"negative": negative})
    with drawn(upscaler, "negative:3,sample:2") as drawing:
        turned, plain = (list(drawing.results(row)) for row in rows_of("negative:3,sample:2"))
    assert len(turned) == 3 and all(torch.allclose(1 - a, b) for a, b in zip(turned, plain, strict=False))


def negative(count: int, inputs: object, network: object) -> MeanSink:
    class Negative(MeanSink):
        def result(self) -> torch.Tensor:
            return 1 - super().result()

    return Negative(count)


def test_results_that_memory_does_not_hold_go_through_a_file(upscaler: Upscaler, monkeypatch: pytest.MonkeyPatch):
    with drawn(upscaler, "sample:3") as drawing:
        expected = torch.stack(list(drawing.results(rows_of("sample:3")[0])))
    monkeypatch.setattr(spool, "available_memory", lambda device: 0)
    with drawn(upscaler, "sample:3") as drawing:
        assert drawing._spools[drawing.scored[0]]._file is not None
        assert torch.equal(torch.stack(list(drawing.results(rows_of("sample:3")[0]))), expected)


@pytest.mark.parametrize("failing", ["decode", "features"])
def test_running_out_of_memory_leads_to_smaller_tiles_and_the_same_pictures(
    upscaler: Upscaler, monkeypatch: pytest.MonkeyPatch, failing: str
):
    large = grey_image(48, 40)
    with drawn(upscaler, "mean:3,median:3,sample:2", large) as drawing:
        expected = [drawing.image(row) for row in drawing.merging] + list(drawing.results(drawing.scored[0]))
    failures, work = [], getattr(PreparedSRFlow, failing)

    def short(*arguments: object) -> object:
        if len(failures) < 2:
            failures.append(1)
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")
        return work(*arguments)

    monkeypatch.setattr(PreparedSRFlow, failing, short)
    with drawn(upscaler, "mean:3,median:3,sample:2", large) as drawing:
        found = [drawing.image(row) for row in drawing.merging] + list(drawing.results(drawing.scored[0]))
    assert len(failures) == 2
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(found, expected, strict=True))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock(monkeypatch)
    clock.slow(PreparedSRFlow, "features", lambda *_: 100)
    clock.slow(PreparedSRFlow, "conditions", lambda *_: 50)
    clock.slow(PreparedSRFlow, "decode", lambda model, latents, conditions: 10 * len(latents[0]))
    clock.slow(MeanSink, "add", lambda sink, indices, images: len(indices))
    clock.slow(MeanSink, "result", lambda sink: 0.5)
    return clock


def test_a_row_s_seconds_are_what_it_takes_alone(upscaler: Upscaler, clock: Clock):
    with drawn(upscaler, "mean:2,mean:5,sample:4") as drawing:
        seconds = {row.name: drawing.cost(row).seconds for row in rows_of("mean:2,mean:5,sample:4,sample:2")}
    assert seconds["mean:2@0.9"] == pytest.approx(150 + 2 * 10 + 2 + 0.5)
    assert seconds["mean:5@0.9"] == pytest.approx(150 + 5 * 10 + 5 + 0.5)
    # Of a row that is an average over results, those of one result: drawn, and made of one candidate.
    assert seconds["sample:4@0.9"] == seconds["sample:2@0.9"] == pytest.approx(150 + 10 + 1 + 0.5)


def test_placing_a_row_s_result_is_its_own_time(upscaler: Upscaler, clock: Clock):
    clock.slow(Tile, "put", lambda *_: 1000)
    with drawn(upscaler, "mean:2,mean:5", tile=16) as drawing:
        seconds = [drawing.cost(row).seconds for row in drawing.merging]
    # Two tiles, in each of which everything happens.
    assert seconds == pytest.approx([2 * (150 + n * 10 + n + 0.5 + 1000) for n in (2, 5)])


@pytest.mark.parametrize("tile", [None, 16])
def test_alone_it_is_all_the_time_that_went_by(upscaler: Upscaler, clock: Clock, tile: int | None):
    before = clock.now
    with drawn(upscaler, "mean:3", tile=tile) as drawing:
        spent = clock.now - before
        assert drawing.cost(drawing.merging[0]).seconds == pytest.approx(spent)
    before = clock.now
    upscaler.collapse(LR, mode="mean", sampling=SamplingConfig(samples=3, tile=tile))
    assert clock.now - before == pytest.approx(spent), "and what upscaling takes"


def test_memory_is_the_peak_of_the_whole_drawing(upscaler: Upscaler):
    with drawn(upscaler, "mean:2,mean:3") as drawing:
        costs = [drawing.cost(row) for row in drawing.merging]
    assert costs[0].memory == costs[1].memory > 1e7


def test_rows_of_other_temperatures_or_latents_are_drawn_apart():
    from srspace.benchmark.tasks import Task, sharing, units

    texts = ("mean:2", "mean:5", "sample:3@0.5", "mean:4+latents=antithetic", "rrdb")
    tasks = [Task(row, row.name, {}, frozenset()) for text in texts for row in rows_of(text)]
    assert [[task.key for task in group] for group in sharing(tasks)] == [
        ["sample:3@0.5"], ["mean:4@0.9+latents=antithetic"], ["mean:2@0.9", "mean:5@0.9"],
    ]  # fmt: skip
    assert units(tasks) == 3 + 4 + 5 + 1
    assert replace(tasks[0].row, samples=1).mode == modes.find("mean")
