"""Fetching the weights of metrics ahead of time, for a machine that will be offline."""

from __future__ import annotations

from srspace.errors import UsageError
from srspace.metrics.metric import load
from srspace.metrics.registry import networks
from srspace.suggestions import did_you_mean


def fetch_weights(name: str) -> None:
    """Load a metric's network once, so that its weights are here from now on.

    Args:
        name: one of :func:`srspace.metrics.registry.networks`.

    Raises:
        UsageError: no metric needs a network called ``name``.
        MetricUnavailableError: its library is missing, or the weights cannot be fetched.
    """
    known = networks()
    if name not in known:
        hint = did_you_mean(name, known)
        raise UsageError(f"no metric has weights called {name!r}{hint}; there are {', '.join(known)}.")
    import torch

    load(known[name])(torch.device("cpu"))
