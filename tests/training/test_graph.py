from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from srspace.data.degrade import Degradation
from srspace.data.pools import Batches, MixedPool, PatchPool
from srspace.training.encoder import EncoderTask
from srspace.training.graph import StepGraphs
from srspace.training.loop import Loop
from srspace.training.settings import EncoderTaskConfig, Execution
from tests.training.conftest import SHORT, tiny_encoder
from tests.training.test_capturable import encoder_task, flow_task, fusion_task

CUDA = torch.device("cuda")


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A stand-in for CUDA's graphs: tells of recordings and replays, and does nothing in a replay."""
    events: list[str] = []

    class Graph:
        def replay(self) -> None:
            events.append("replay")

    @contextmanager
    def graph(_: Graph, pool: str, capture_error_mode: str) -> Iterator[None]:
        events.append(f"record in {pool}")
        yield

    monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)
    monkeypatch.setattr(torch.cuda, "graph", graph)
    monkeypatch.setattr(torch.cuda, "graph_pool_handle", lambda: "one pool")
    for name in ("synchronize", "empty_cache"):
        monkeypatch.setattr(torch.cuda, name, lambda: None)
    return events


def work(counts: dict[str, int], name: str) -> Callable[[], torch.Tensor]:
    def run() -> torch.Tensor:
        counts[name] = counts.get(name, 0) + 1
        return torch.tensor(float(counts[name]))

    return run


def test_each_kind_runs_three_times_before_it_is_recorded_and_replayed(recorder: list[str]):
    graphs, counts = StepGraphs(CUDA), {}
    results = [graphs("a", work(counts, "a")).item() for _ in range(6)]
    assert results == [1, 2, 3, 4, 4, 4] and counts == {"a": 4}
    assert recorder == ["record in one pool"] + ["replay"] * 3
    graphs("b", work(counts, "b"))
    assert counts == {"a": 4, "b": 1} and len(recorder) == 4


def test_what_cannot_be_recorded_is_run(recorder: list[str], monkeypatch: pytest.MonkeyPatch, caplog):
    def fail(*_: Any, **__: Any) -> Any:
        raise RuntimeError("operation not permitted when stream is capturing")

    monkeypatch.setattr(torch.cuda, "graph", fail)
    graphs, counts = StepGraphs(CUDA), {}
    assert [graphs("a", work(counts, "a")).item() for _ in range(6)] == [1, 2, 3, 4, 5, 6]
    assert "not replayed as a CUDA graph" in caplog.text and recorder == []


def test_without_a_gpu_or_when_it_is_off_nothing_is_recorded(recorder: list[str]):
    for graphs in (StepGraphs(torch.device("cpu")), StepGraphs(CUDA, enabled=False)):
        counts: dict[str, int] = {}
        assert [graphs("a", work(counts, "a")).item() for _ in range(6)] == [1, 2, 3, 4, 5, 6]
    assert recorder == []


def damaged_task(pool: PatchPool, critics: Any) -> EncoderTask:
    damaged = replace(MixedPool.of(pool), damage=Degradation())
    return EncoderTask(tiny_encoder().to(pool.device), Batches(damaged, 4, 64), EncoderTaskConfig())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("make", [encoder_task, flow_task, fusion_task, damaged_task])
def test_replayed_steps_train_as_steps_run_one_by_one(make: Any, pool: PatchPool, critics: Any, tmp_path: Path):
    on_device = PatchPool(pool.hr.to(CUDA), pool.lr.to(CUDA))
    judges = [copy.deepcopy(critic).to(CUDA) for critic in critics]
    config = replace(SHORT, iterations=24, log_every=24, validate_every=24, save_every=24, schedule="constant")
    ended = []
    for graph in (True, False):
        loop = Loop(make(on_device, judges), config, tmp_path / str(graph), execution=Execution(amp=False, graph=graph))
        begun = torch.cat([v.flatten() for v in loop.average.values])
        record = loop.run()
        assert loop._graphs.enabled is graph
        ended.append((record["loss"], torch.cat([v.flatten() for v in loop.average.values])))
    (loss, replayed), (expected, single) = ended
    assert loss == pytest.approx(expected, rel=1e-3)
    # Adam steps as far where a gradient is near zero as elsewhere, so that its rounding shows in some weights.
    moved, apart = (single - begun).abs().mean(), (replayed - single).abs().mean()
    assert apart < 0.02 * moved, (apart / moved, (replayed - single).abs().max())
