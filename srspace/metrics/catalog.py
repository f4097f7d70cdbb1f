"""What the metrics are called, which way they point and how they are shown."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class MetricInfo:
    """One column of a benchmark.

    Attributes:
        name: as on the command line.
        title: as in a table.
        higher_is_better: None for costs, which are shown and not ranked.
        decimals: digits shown after the point.
        kind: ``"distortion"``, ``"perception"``, ``"space"`` (of candidates) or ``"cost"``.
    """

    name: str
    title: str
    higher_is_better: bool | None
    decimals: int
    kind: str


METRICS = {
    info.name: info
    for info in (
        MetricInfo("psnr", "PSNR", True, 3, "distortion"),
        MetricInfo("ssim", "SSIM", True, 4, "distortion"),
        MetricInfo("lpips", "LPIPS", False, 4, "perception"),
        MetricInfo("pieapp", "PieAPP", False, 4, "perception"),
        MetricInfo("dists", "DISTS", False, 4, "perception"),
        MetricInfo("niqe", "NIQE", False, 3, "perception"),
        MetricInfo("ma", "Ma", True, 3, "perception"),
        MetricInfo("pi", "PI", False, 3, "perception"),
        MetricInfo("lr-psnr", "LR-PSNR", True, 2, "space"),
        MetricInfo("diversity", "Diversity", True, 2, "space"),
        MetricInfo("seconds", "Seconds", None, 2, "cost"),
        MetricInfo("memory", "MiB", None, 0, "cost"),
    )
}
"""All metrics by name, in the order of the paper's Table 1 and then what it leaves out."""
