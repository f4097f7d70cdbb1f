"""Telling how long the parts of one piece of work take, without making a GPU wait in between."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import Any

import torch


class Stopwatch:
    """Divides the time from its making to :meth:`stop` among labels.

    On CUDA the marks are set in the device's own stream, so that nothing waits for them, and what the device idles
    through counts as well. On MPS the device is waited for at every mark.

    Args:
        device: where the work is done.
        label: of what is done outside of any part, not None.
    """

    def __init__(self, device: torch.device, label: Hashable) -> None:
        self.device, self._label = device, label
        self._laps: list[tuple[Hashable, float | torch.cuda.Event]] = []
        wait_for(device)
        self._start = self._mark()

    @contextmanager
    def part(self, label: Hashable, *, then: Hashable = None) -> Iterator[None]:
        """Count what is done inside under ``label``, and what follows it under ``then`` (None: as before)."""
        before = self._label
        self._turn(label)
        try:
            yield
        finally:
            self._turn(before if then is None else then)

    def stop(self) -> dict[Hashable, float]:
        """Wait for the device; seconds by label."""
        self._turn(self._label)
        wait_for(self.device)
        seconds: dict[Hashable, float] = {}
        last = self._start
        for label, mark in self._laps:
            seconds[label] = seconds.get(label, 0.0) + _between(last, mark)
            last = mark
        return seconds

    def _turn(self, label: Hashable) -> None:
        """Go on under another label."""
        self._laps.append((self._label, self._mark()))
        self._label = label

    def _mark(self) -> float | torch.cuda.Event:
        if self.device.type == "cuda":
            event = torch.cuda.Event(enable_timing=True)
            event.record(torch.cuda.current_stream(self.device))
            return event
        wait_for(self.device)
        return time.perf_counter()


def wait_for(device: torch.device) -> None:
    """Wait until the device has done all that it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def seconds_of(work: Callable[[], object], device: torch.device) -> float:
    """Wall-clock seconds that ``work`` takes, with what the device does of it."""
    wait_for(device)
    start = time.perf_counter()
    work()
    wait_for(device)
    return time.perf_counter() - start


def _between(start: Any, end: Any) -> float:
    return float(end - start if isinstance(start, float) else start.elapsed_time(end) / 1000)
