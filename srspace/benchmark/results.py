"""What a benchmark found: records, their means, and the JSON file that holds both."""

from __future__ import annotations

import json
import math
import platform
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import psutil

from srspace import __version__
from srspace.benchmark.records import Record, precision_word
from srspace.errors import DataError
from srspace.metrics import describe

SCHEMA = "srspace-bench/1"


@dataclass(frozen=True)
class Results:
    """Scores of rows on a data set.

    Attributes:
        rows: names and labels, in the table's order.
        metrics: columns, by name.
        protocol: name of the rules.
        rules: the same in words.
        device: kind of device that our networks ran on.
        precision: type of their subnets' arithmetic: ``"fp32"``, ``"bf16"`` or ``"fp16"``.
        made_lr: whether LR images were made from HR ones.
        records: one per row and image.
        missing: metrics left out, and why.
        failures: images that could not be measured, and why.
    """

    dataset: str
    scale: int
    images: list[str]
    rows: list[tuple[str, str]]
    metrics: list[str]
    lpips_net: str
    protocol: str
    rules: str
    seed: int
    weights: str
    device: str
    precision: str
    made_lr: bool
    records: list[Record]
    missing: dict[str, str] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)

    def key_of(self, metric: str) -> str:
        """Under which name records file the metric."""
        return describe(metric).key(self.lpips_net)

    @cached_property
    def _by_row(self) -> dict[str, list[Record]]:
        found: dict[str, list[Record]] = {name: [] for name, _ in self.rows}
        for record in self.records:
            found.setdefault(record.row, []).append(record)
        return found

    def of_row(self, row: str) -> list[Record]:
        """Records of one row, in the order of the images."""
        return self._by_row.get(row, [])

    def scores(self, row: str, metric: str) -> dict[str, float]:
        """Scores by image; images without one, or for which the metric is not defined, are left out."""
        key = self.key_of(metric)
        return {r.image: r.values[key] for r in self.of_row(row) if not math.isnan(r.values.get(key, math.nan))}

    def mean(self, row: str, metric: str) -> float | None:
        """Mean over the images (of memory, the largest), or None without any score."""
        scores = list(self.scores(row, metric).values())
        if not scores:
            return None
        return max(scores) if describe(metric).largest else sum(scores) / len(scores)

    def to_json(self) -> dict[str, Any]:
        """Everything, with the means spelled out."""
        return {
            "schema": SCHEMA,
            "srspace": __version__,
            "dataset": self.dataset,
            "scale": self.scale,
            "images": self.images,
            "lr": "made by MATLAB bicubic in 8 bits" if self.made_lr else "from files",
            "protocol": self.protocol,
            "rules": self.rules,
            "lpips_net": self.lpips_net,
            "seed": self.seed,
            "weights": self.weights,
            "device": self.device,
            "precision": self.precision,
            "machine": {"cpu": platform.machine(), "cores": psutil.cpu_count(), "python": platform.python_version()},
            "metrics": self.metrics,
            "rows": [
                {
                    "name": name,
                    "label": label,
                    "images": len(self.of_row(name)),
                    "means": {m: _plain(self.mean(name, m)) for m in self.metrics},
                }
                for name, label in self.rows
            ],
            "missing": self.missing,
            "failures": self.failures,
            "records": [record.to_json() for record in self.records],
        }


def read_results(path: Path) -> Results:
    """Read what :meth:`Results.to_json` wrote.

    Raises:
        DataError: the file cannot be read or is something else.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.") from error
    except ValueError as error:
        raise DataError(f"{path} is not JSON.") from error
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        raise DataError(f"{path} does not hold the results of a benchmark.")
    try:
        return Results(
            dataset=content["dataset"],
            scale=content["scale"],
            images=content["images"],
            rows=[(row["name"], row["label"]) for row in content["rows"]],
            metrics=content["metrics"],
            lpips_net=content["lpips_net"],
            protocol=content["protocol"],
            rules=content["rules"],
            seed=content["seed"],
            weights=content["weights"],
            device=content["device"],
            precision=precision_word(content["precision"]),
            made_lr=content["lr"] != "from files",
            records=[Record.from_json(record) for record in content["records"]],
            missing=content["missing"],
            failures=content["failures"],
        )
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path} is damaged: {error}.") from error


def _plain(value: float | None) -> float | str | None:
    return str(value) if value is not None and not math.isfinite(value) else value
