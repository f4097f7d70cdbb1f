"""Building a task and training it: what the command line does, for Python."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import torch

from srspace.files import write_bytes
from srspace.tf32 import exact_float32
from srspace.training.kinds import Training
from srspace.training.loop import Loop
from srspace.training.processes import rank, restarted
from srspace.training.sources import Sources
from srspace.training.task import Task

OPTIONS_FILE = "options.json"


@exact_float32()  # held-out candidates are drawn here
def build_task(training: Training, sources: Sources) -> Task:
    """Load the weights and read the pictures that a training needs.

    Args:
        training: what to train.
        sources: pictures and device.

    Raises:
        SRSpaceError: weights, pictures or options are missing or do not fit together.
    """
    module, _, name = training.kind.task.partition(":")
    torch.manual_seed(training.train.seed)
    task: Task = getattr(import_module(module), name).build(training.task, training.sizes, sources)
    return task


def train(
    task: Task,
    training: Training,
    out_dir: Path,
    *,
    resume: bool = True,
    report: Callable[[dict[str, Any]], None] | None = None,
) -> dict[str, Any]:
    """Train a task; the folder ends up with the averaged weights.

    Args:
        task: as :func:`build_task` made it.
        training: the same settings; they are written into the folder, too, in ``options.json``.
        out_dir: run folder, see :class:`~srspace.training.loop.Loop`.
        resume: go on from the folder's state, if there is one; a process that ``torchrun`` had to start again does so
            in any case.
        report: called with every log record.

    Returns:
        The last log record.

    Raises:
        CheckpointError: the folder's state belongs to another training.
        TrainingError: the losses are not finite any more.
        OutputError: the folder cannot be written.
    """
    loop = Loop(task, training.train, out_dir, execution=training.execution, report=report)
    if rank() == 0:
        write_bytes(out_dir / OPTIONS_FILE, (json.dumps(training.values(), indent=2) + "\n").encode())
    if restarted(loop.device) or resume:
        loop.resume()
    return loop.run()
