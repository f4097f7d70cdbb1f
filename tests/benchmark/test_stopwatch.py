from __future__ import annotations

import pytest
import torch

from srspace.benchmark.stopwatch import Stopwatch, seconds_of
from tests.benchmark.clock import Clock

CPU = torch.device("cpu")


def test_a_stopwatch_divides_all_of_the_time(monkeypatch: pytest.MonkeyPatch):
    clock = Clock(monkeypatch)
    watch = Stopwatch(CPU, "rest")
    clock.now += 1
    with watch.part("a", then="after a"):
        clock.now += 2
        with watch.part("b"):
            clock.now += 4
        clock.now += 8
    clock.now += 16
    with watch.part("a"):
        clock.now += 32
    clock.now += 64
    assert watch.stop() == {"rest": 1, "a": 2 + 8 + 32, "b": 4, "after a": 16 + 64}


def test_a_part_that_fails_is_counted(monkeypatch: pytest.MonkeyPatch):
    clock = Clock(monkeypatch)
    watch = Stopwatch(CPU, "rest")
    with pytest.raises(ValueError), watch.part("a"):
        clock.now += 2
        raise ValueError
    clock.now += 1
    assert watch.stop() == {"rest": 1, "a": 2}


def test_seconds_of_a_piece_of_work(monkeypatch: pytest.MonkeyPatch):
    clock = Clock(monkeypatch)

    def work() -> None:
        clock.now += 3

    assert seconds_of(work, CPU) == 3


def test_on_a_gpu_marks_are_set_in_its_stream_and_it_is_waited_for_at_the_ends_only(monkeypatch: pytest.MonkeyPatch):
    """The calls of torch.cuda are stood in for; the device's clock is one of milliseconds."""
    clock, waits = Clock(monkeypatch), []

    class Event:
        def __init__(self, *, enable_timing: bool) -> None:
            assert enable_timing

        def record(self, stream: str) -> None:
            assert stream == "stream of cuda:0"
            self.time = clock.now

        def elapsed_time(self, end: Event) -> float:
            return end.time - self.time

    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: f"stream of {device}")
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device: waits.append(device))
    watch = Stopwatch(torch.device("cuda:0"), "rest")
    clock.now += 1000
    with watch.part("a"):
        clock.now += 500
    assert len(waits) == 1
    assert watch.stop() == {"rest": 1, "a": 0.5} and len(waits) == 2
