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
from srspace.files import write_bytes
from srspace.training.processes import add_up, rank


class Lap:
    """What happened since the last log record."""

    def __init__(self, iteration: int, skipped: float = 0.0) -> None:
        self.iteration, self.skipped, self.start = iteration, skipped, time.monotonic()
        self.losses: list[Tensor] = []
        """Of every step, this process's share of the mean loss."""

    def figures(self, iteration: int, skipped: Tensor, rate: float) -> dict[str, Any]:
        """The mean loss, over the steps where it is finite, and the speed.

        Raises:
            TrainingError: it is finite nowhere.
        """
        losses = add_up(torch.stack(self.losses)).tolist()
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

    def rewind(self, iteration: int) -> None:
        """Forget the last records, as far as they are of later iterations than a training goes on from."""
        if rank() != 0 or not self.path.exists():
            return
        lines = self.path.read_bytes().splitlines(keepends=True)
        kept = len(lines)
        while kept and _iteration(lines[kept - 1]) > iteration:
            kept -= 1
        if kept < len(lines):
            write_bytes(self.path, b"".join(lines[:kept]))


def _iteration(line: bytes) -> float:
    """Of a record; infinity where a killed process has left half of one."""
    try:
        return float(json.loads(line)["iteration"])
    except (ValueError, KeyError, TypeError):
        return math.inf
