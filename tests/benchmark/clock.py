"""A clock for tests of timings."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from srspace.benchmark import stopwatch


class Clock:
    """A clock that only what a test slows down moves on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.patch = 0.0, monkeypatch
        monkeypatch.setattr(stopwatch.time, "perf_counter", lambda: self.now)

    def slow(self, owner: type, name: str, seconds: Callable[..., float]) -> None:
        work = getattr(owner, name)

        def slowed(*arguments: object, **options: object) -> object:
            self.now += seconds(*arguments)
            return work(*arguments, **options)

        self.patch.setattr(owner, name, slowed)
