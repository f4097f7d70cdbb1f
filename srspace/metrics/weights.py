"""Fetching the weights of metrics ahead of time, for a machine that will be offline."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from srspace.errors import UsageError
from srspace.metrics.dists import Dists
from srspace.metrics.lpips import Lpips
from srspace.metrics.no_reference import NoReference
from srspace.metrics.pieapp import PieApp

METRIC_WEIGHTS: dict[str, Callable[[], nn.Module]] = {
    "lpips-vgg": lambda: Lpips("vgg"),
    "lpips-alex": lambda: Lpips("alex"),
    "lpips-squeeze": lambda: Lpips("squeeze"),
    "dists": Dists,
    "pieapp": PieApp,
    "niqe": lambda: NoReference("niqe"),
    "ma": lambda: NoReference("ma"),
}
"""Metrics that need weights, and how to load them; loading fetches them to where their library keeps them."""


def fetch_weights(name: str) -> None:
    """Load a metric once, so that its weights are here from now on.

    Raises:
        UsageError: no metric with weights is called ``name``.
        MetricUnavailableError: its library is missing, or the weights cannot be fetched.
    """
    if name not in METRIC_WEIGHTS:
        raise UsageError(f"{name!r} is no metric with weights; there are {', '.join(METRIC_WEIGHTS)}.")
    METRIC_WEIGHTS[name]()
