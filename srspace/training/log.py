"""What a training tells while it runs."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from srspace.errors import TrainingError
from srspace.training.processes import rank


class Lap:
    """What happened since the last log record."""

    def __init__(self, iteration: int, skipped: float = 0.0) -> None:
        self.iteration, self.skipped, self.start = iteration, skipped, time.monotonic()
        self.losses: list[Tensor] = []

    def figures(self, iteration: int, skipped: Tensor, rate: float) -> dict[str, Any]:
        """The mean loss, over the steps where it is finite, and the speed.

        Raises:
            TrainingError: it is finite nowhere.
        """
        losses = torch.stack(self.losses).tolist()
        finite = [loss for loss in losses if math.isfinite(loss)]
        if not finite:
            raise TrainingError(
                f"no loss since iteration {self.iteration} is finite; the last state saved is older than that."
            )
        new = skipped.item() - self.skipped
        self.skipped += new
        return {
            "loss": math.fsum(finite) / len(finite),
            "learning_rate": rate,
            "iterations_per_second": (iteration - self.iteration) / max(time.monotonic() - self.start, 1e-9),
            **({"skipped": int(new)} if new else {}),
        }


class Log:
    """The file of log records, and whoever wants to see them as well; writes nothing but in the first process."""

    def __init__(self, path: Path, report: Callable[[dict[str, Any]], None] | None) -> None:
        self.path, self.report = path, report

    def write(self, record: dict[str, Any]) -> None:
        if rank() != 0:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")
        if self.report is not None:
            self.report(record)
