"""The metrics by name, one line each. A package of your own adds one: describe it, then :func:`register` it.

Instead of calling :func:`register`, an installed package may declare an entry point in the group ``srspace.metrics``.
Nothing here loads torch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from importlib.metadata import entry_points
from typing import Any

from srspace.errors import UsageError
from srspace.metrics.metric import Metric
from srspace.suggestions import did_you_mean

ENTRY_POINTS = "srspace.metrics"
LPIPS_NETS = ("vgg", "alex", "squeeze")
"""Backbones of LPIPS; the first is the default of a benchmark, as in the paper."""

DIVERSITY_NET = "alex"
"""LPIPS backbone of the diversity score: that of the NTIRE 2021 challenge, whatever the LPIPS column has."""

_LPIPS = {f"lpips-{net}": f"srspace.metrics.lpips:{net}" for net in LPIPS_NETS}
_DISTS = {"dists": "srspace.metrics.dists:load"}
_PIEAPP = {"pieapp": "srspace.metrics.pieapp:load"}
_NIQE = {"niqe": "srspace.metrics.no_reference:load_niqe"}
_MA = {"ma": "srspace.metrics.no_reference:load_ma"}
_ALEX = {f"lpips-{DIVERSITY_NET}": _LPIPS[f"lpips-{DIVERSITY_NET}"]}

# In the order of the paper's Table 1, then what it leaves out.
_BUILT_IN = (
    Metric("psnr", "PSNR", "srspace.metrics.distortion:make_psnr", True, 3, "distortion", unit="dB", channel=True),
    Metric("ssim", "SSIM", "srspace.metrics.distortion:make_ssim", True, 4, "distortion", channel=True),
    Metric("lpips", "LPIPS", "srspace.metrics.lpips:make", False, 4, "perception", networks=_LPIPS, backbone=True),
    Metric("pieapp", "PieAPP", "srspace.metrics.pieapp:make", False, 4, "perception", networks=_PIEAPP),
    Metric("dists", "DISTS", "srspace.metrics.dists:make", False, 4, "perception", networks=_DISTS),
    Metric("niqe", "NIQE", "srspace.metrics.no_reference:make_niqe", False, 3, "perception", networks=_NIQE),
    Metric("ma", "Ma", "srspace.metrics.no_reference:make_ma", True, 3, "perception", networks=_MA),
    Metric("pi", "PI", "srspace.metrics.no_reference:make_pi", False, 3, "perception", networks=_NIQE | _MA),
    Metric("lr-psnr", "LR-PSNR", "srspace.metrics.consistency:make", True, 2, "space", unit="dB", always=True),
    Metric("diversity", "Diversity", "srspace.metrics.spread:make", True, 2, "space", networks=_ALEX, candidates=2),
    Metric("seconds", "Seconds", "", None, 2, "cost", unit="s", always=True),
    Metric("memory", "MiB", "", None, 0, "cost", unit="MiB", always=True, largest=True),
)
_registered: dict[str, Metric] = {}


def register(metric: Metric) -> Metric:
    """Make a metric known under its name; a later one of the same name takes its place."""
    _registered[metric.name] = metric
    return metric


def every() -> dict[str, Metric]:
    """All metrics by name, in the order of a table's columns: built in, of installed packages, registered by hand."""
    return {metric.name: metric for metric in (*_BUILT_IN, *_installed(), *_registered.values())}


def find(name: str) -> Metric:
    """The metric of that name.

    Raises:
        UsageError: there is none.
    """
    known = every()
    if name not in known:
        raise UsageError(f"there is no metric {name!r}{did_you_mean(name, known)}; there are {', '.join(known)}.")
    return known[name]


def describe(name: str) -> Metric:
    """The metric of that name; one that is not known here, as a file of results may name, is shown and not ranked."""
    return every().get(name) or Metric(name, name, "", None, 4, "cost")


def parse(text: str) -> list[str]:
    """Read a list of metrics, separated by commas; ``all`` stands for every one.

    Returns:
        Names, in the order of a table's columns.

    Raises:
        UsageError: one is unknown, or there is none.
    """
    words = [word.strip().lower() for word in text.split(",") if word.strip()]
    for word in words:
        if word != "all":
            find(word)
    if not words:
        raise UsageError("there is no metric to compute.")
    return [name for name in every() if name in words or "all" in words]


def check_backbone(lpips_net: str) -> None:
    """Raise unless LPIPS has that backbone.

    Raises:
        UsageError: it has not.
    """
    if lpips_net not in LPIPS_NETS:
        raise UsageError(f"the LPIPS backbone must be one of {', '.join(LPIPS_NETS)}, not {lpips_net!r}.")


def networks() -> dict[str, str]:
    """Every network that some metric needs: by name, what loads it."""
    return {name: loader for metric in every().values() for name, loader in metric.networks.items()}


@cache
def _installed() -> tuple[Metric, ...]:
    return tuple(_metrics(entry.load() for entry in entry_points(group=ENTRY_POINTS)))


def _metrics(loaded: Iterable[Any]) -> Iterator[Metric]:
    for found in loaded:
        yield from (found,) if isinstance(found, Metric) else found
