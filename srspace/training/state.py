"""What an interrupted training goes on from."""

from __future__ import annotations

import io
import pickle
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from srspace.errors import CheckpointError
from srspace.files import atomic_path
from srspace.training.averaging import WeightAverage
from srspace.training.optimizer import Optimizer


@dataclass
class Progress:
    """How far a training is.

    Attributes:
        iteration: updates done.
        seconds: time spent on them, over all its runs.
        best: lowest score of a validation so far.
        batches: how many batches an update takes, over all processes.
        accumulate: as many of one process, as the settings have it.
    """

    iteration: int = 0
    seconds: float = 0.0
    best: float = field(default=float("inf"))
    batches: int = 1
    accumulate: int = 1


def save_state(
    path: Path, progress: Progress, network: nn.Module, optimizer: Optimizer, average: WeightAverage
) -> None:
    """Write everything that a training needs to go on; the file appears whole or not at all."""
    state = {
        "iteration": progress.iteration,
        "seconds": progress.seconds,
        "best": progress.best,
        "batches": progress.batches,
        "accumulate": progress.accumulate,
        "buffers": list(network.buffers()),
        "parameters": [p.detach() for p in optimizer.parameters],
        "average": average.values,
        "optimizer": optimizer.state_dict(),
    }
    with atomic_path(path) as temporary:
        torch.save(state, temporary)


def load_state(
    path: Path, content: bytes, network: nn.Module, optimizer: Optimizer, average: WeightAverage
) -> Progress:
    """Put a saved state into the network, the average of its weights and the optimizer.

    Args:
        path: the file, for the message of an error.
        content: what it holds.
        network: what is trained.
        optimizer: of its parameters.
        average: likewise.

    Raises:
        CheckpointError: the file is damaged or belongs to another training.
    """
    try:
        state: dict[str, Any] = torch.load(io.BytesIO(content), map_location=optimizer.device, weights_only=True)
        buffers = list(network.buffers())
        _copy(state.get("buffers", buffers), buffers)
        _copy(state["parameters"], optimizer.parameters)
        _copy(state["average"], average.values)
        optimizer.load_state_dict(state["optimizer"])
        own = int(state.get("batches", 0)), int(state.get("accumulate", 0))
        return Progress(int(state["iteration"]), float(state["seconds"]), float(state.get("best", "inf")), *own)
    except (RuntimeError, ValueError, KeyError, TypeError, EOFError, OSError, pickle.UnpicklingError) as error:
        raise CheckpointError(f"{path} does not fit this training and cannot be resumed from.") from error


@torch.no_grad()
def _copy(values: Sequence[Tensor], targets: Sequence[Tensor]) -> None:
    for target, value in zip(targets, values, strict=True):
        if target.shape != value.shape:
            raise ValueError("the sizes differ")
        target.copy_(value)
