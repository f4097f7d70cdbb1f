"""The loop that all trainings share: steps, validation, log, saving and resuming."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from srspace.checkpoints import save_model
from srspace.config import TrainConfig
from srspace.tf32 import exact_float32
from srspace.training.averaging import WeightAverage
from srspace.training.graph import StepGraphs
from srspace.training.log import Lap, Log
from srspace.training.optimizer import Optimizer
from srspace.training.processes import first_clock, of_first, rank, seed_batch, share_weights, world_size
from srspace.training.schedule import learning_rate
from srspace.training.settings import Execution
from srspace.training.state import Progress, load_state, save_state
from srspace.training.task import Task

logger = logging.getLogger(__name__)

STATE_FILE = "training.pt"
LOG_FILE = "log.jsonl"
BEST_FOLDER = "best"
_CLOCK_EVERY = 20
# What is drawn outside of batches has slots of its own.
_PREPARATION = 2**30
_START = 2**31


class Loop:
    """Minimise a task's loss.

    The folder holds, whenever it is looked at, a whole model folder (moving average of the weights), the state to
    resume from and a log with one JSON object per line. Where the task validates, a further model folder ``best``
    holds the weights that did best, because a long training on few pictures learns them by heart.

    In a process group (``torchrun``) the processes share the batches of an update, and what an update does depends on
    its batches alone, not on who drew them. The first process alone validates, logs and touches the folder.

    Args:
        task: what is trained; its network is on the device where it is to be trained.
        config: settings.
        out_dir: the folder.
        execution: how steps are computed.
        extra: further entries for ``config.json``, beside the task's.
        report: called with every log record.
        dtype: type that weights are stored in.
    """

    def __init__(
        self,
        task: Task,
        config: TrainConfig,
        out_dir: Path,
        *,
        execution: Execution | None = None,
        extra: Mapping[str, Any] | None = None,
        report: Callable[[dict[str, Any]], None] | None = None,
        dtype: torch.dtype = torch.float16,
    ) -> None:
        self.task, self.config, self.out_dir = task, config, out_dir
        self.execution, self.dtype = execution or Execution(), dtype
        self.extra = dict(task.extra) | dict(extra or {})
        network = task.network
        if next(network.parameters()).device.type == "cuda":
            network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        share_weights(network)
        self.optimizer = Optimizer(network, config, task.rates)
        self.average = WeightAverage(self.optimizer.parameters, config.ema)
        self.device = self.optimizer.device
        self.progress = Progress(batches=config.accumulate * world_size(), accumulate=config.accumulate)
        self._loss = torch.compile(task.loss) if self.execution.compile else task.loss
        # Convolutions with gradients are many times slower in bfloat16 on a CPU.
        self._mixed = self.execution.amp and self.device.type != "cpu"
        self._graphs = StepGraphs(self.device, enabled=self.execution.graph)
        self._log = Log(out_dir / LOG_FILE, report if rank() == 0 else None)
        self._clock = 0.0

    def resume(self) -> bool:
        """Go on from the state in the folder; returns whether there was one.

        An update still takes as many batches as before, however many processes there are now.

        Raises:
            CheckpointError: the state is damaged or belongs to another training.
        """
        path = self.out_dir / STATE_FILE
        # Other hosts need not see the folder.
        state = of_first(path.read_bytes() if rank() == 0 and path.exists() else None)
        if state is None:
            return False
        found = load_state(path, state, self.task.network, self.optimizer, self.average)
        self.progress = replace(found, accumulate=self.config.accumulate, batches=self._batches(found))
        self._log.rewind(self.progress.iteration)
        logger.info("resumed at iteration %d", self.progress.iteration)
        return True

    def _batches(self, found: Progress) -> int:
        """How many batches an update of a resumed training takes."""
        now = self.config.accumulate * world_size()
        if found.accumulate != self.config.accumulate:
            return now
        if found.batches < world_size():
            logger.warning("an update takes %d batches from now on; before, %d", now, found.batches)
            return now
        return found.batches

    def run(self) -> dict[str, Any]:
        """Train to the end, or to the time limit, and save; returns the last log record.

        Raises:
            TrainingError: the losses are not finite any more.
        """
        cudnn = torch.backends.cudnn
        benchmark, cudnn.benchmark = cudnn.benchmark, True
        try:
            with exact_float32():
                return self._started()
        finally:
            cudnn.benchmark = benchmark

    def _started(self) -> dict[str, Any]:
        self.task.network.train()
        seed_batch(self.device, self.config.seed, self.progress.iteration, _START)
        self.task.start(resumed=self.progress.iteration > 0)
        share_weights(self.task.network)  # some are set by what the start has drawn
        return self._run()

    def _run(self) -> dict[str, Any]:
        config, progress = self.config, self.progress
        start, before = time.monotonic(), progress.seconds
        lap = Lap(progress.iteration)
        record: dict[str, Any] = {}
        validated = saved = -1
        while progress.iteration < config.iterations:
            elapsed = self._elapsed(start)
            if config.time_limit is not None and elapsed >= config.time_limit:
                break
            rate = learning_rate(config, progress.iteration, elapsed)
            lap.losses.append(self._step(rate))
            progress.iteration += 1
            progress.seconds = before + time.monotonic() - start
            validates = self._due(config.validate_every)
            if validates or self._due(config.log_every):
                record = self._where() | lap.figures(progress.iteration, self.optimizer.skipped, rate)
                if validates:
                    record |= self._validation()
                    validated = progress.iteration
                self._log.write(record)
                lap = Lap(progress.iteration, lap.skipped)
            if self._due(config.save_every):
                self.save()
                saved = progress.iteration
        if validated != progress.iteration:
            record = self._where() | self._validation()
            self._log.write(record)
        if saved != progress.iteration:
            self.save()
        return record

    def save(self) -> None:
        """Write the model folder (averaged weights) and the state to resume from; the first process alone does."""
        if rank() == 0:
            with self.average.in_place():
                self._save_model(self.out_dir)
            save_state(self.out_dir / STATE_FILE, self.progress, self.task.network, self.optimizer, self.average)

    def _step(self, rate: float) -> Tensor:
        iteration, batches = self.progress.iteration, self.progress.batches
        self.optimizer.set_learning_rate(rate)
        self.average.set_iteration(iteration)
        self.optimizer.clear()
        losses = []
        seed_batch(self.device, self.config.seed, iteration, _PREPARATION)
        kind = self.task.prepare(iteration)
        for slot in range(rank(), batches, world_size()):
            seed_batch(self.device, self.config.seed, iteration, slot)
            losses.append(self._graphs(("batch", kind), self._add_batch))
        self.optimizer.exchange()
        self._graphs("update", self._update)
        return torch.stack(losses).sum() / batches

    def _add_batch(self) -> Tensor:
        batch = self.task.batch()
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self._mixed):
            loss = self._loss(*batch)
        self.optimizer.add_gradient(loss)
        return loss.detach()

    def _update(self) -> Tensor:
        norm = self.optimizer.update(self.progress.batches)
        self.average.update()
        return norm

    def _due(self, every: int) -> bool:
        return self.progress.iteration % every == 0 or self.progress.iteration == self.config.iterations

    def _elapsed(self, start: float) -> float:
        """Seconds since ``start``; in a process group they are compared now and then."""
        if world_size() == 1 or self.progress.iteration % _CLOCK_EVERY == 0:
            self._clock = first_clock(time.monotonic() - start, self.device)
        return self._clock

    def _validation(self) -> dict[str, float]:
        """The task's figures of the averaged weights, which are kept where they are the best so far."""
        if rank() != 0:
            return {}
        network = self.task.network.eval()
        try:
            with self.average.in_place(), torch.no_grad():
                figures = self.task.validate()
                if figures and (score := self.task.score(figures)) < self.progress.best:
                    self.progress.best = score
                    self._save_model(self.out_dir / BEST_FOLDER)
                return figures
        finally:
            network.train()

    def _save_model(self, folder: Path) -> None:
        training = self.config.to_dict() | {"iteration": self.progress.iteration}
        save_model(folder, self.task.network, extra=self.extra | {"training": training}, dtype=self.dtype)

    def _where(self) -> dict[str, Any]:
        return {"iteration": self.progress.iteration, "seconds": round(self.progress.seconds, 1)}
