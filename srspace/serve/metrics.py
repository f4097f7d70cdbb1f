"""Figures of a service, in the format of Prometheus."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

_SECONDS = (0.1, 0.3, 1, 3, 10, 30, 100, 300)


class Metrics:
    """What is counted.

    Args:
        accepted: tells how many pictures were accepted and are not finished.

    Attributes:
        requests: answers by path and status.
    """

    media_type = CONTENT_TYPE_LATEST

    def __init__(self, accepted: Callable[[], int]) -> None:
        self._registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self.requests = Counter("srspace_requests", "Answers.", ["path", "status"], registry=registry)
        self._seconds = Histogram(
            "srspace_seconds", "Seconds of computing a picture.", buckets=_SECONDS, registry=registry
        )
        self._pixels = Counter("srspace_result_pixels", "Pixels of results.", registry=registry)
        Gauge("srspace_accepted", "Pictures accepted and not finished.", registry=registry).set_function(accepted)

    def upscaled(self, record: Mapping[str, Any]) -> None:
        """Count a picture."""
        self._seconds.observe(record["seconds"])
        self._pixels.inc(record["width"] * record["height"] * record["frames"])

    def text(self) -> bytes:
        """All figures."""
        return generate_latest(self._registry)
