"""The loop that all trainings share: optimizer, schedule, moving average, log, checkpoints, resume."""

from __future__ import annotations

import json
import logging
import math
import pickle
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from srspace.checkpoints import save_model
from srspace.config import TrainConfig
from srspace.errors import CheckpointError, SRSpaceError
from srspace.files import atomic_path

logger = logging.getLogger(__name__)

STATE_FILE = "training.pt"
LOG_FILE = "log.jsonl"


class Loop:
    """Minimise a loss over the parameters of ``network`` that require gradients.

    The folder holds, whenever it is looked at, a whole model folder (moving average of the weights), the state to
    resume from and a log with one JSON object per line.

    Args:
        network: what is saved; may hold frozen parts.
        loss: called without arguments, draws a batch and returns the scalar loss.
        config: settings.
        out_dir: the folder.
        validate: called with the averaged network; returns figures to log.
        extra: further entries for ``config.json``.
        report: called with every log record.
        dtype: type that weights are stored in.
    """

    def __init__(
        self,
        network: nn.Module,
        loss: Callable[[], Tensor],
        config: TrainConfig,
        out_dir: Path,
        *,
        validate: Callable[[nn.Module], Mapping[str, float]] | None = None,
        extra: Mapping[str, Any] | None = None,
        report: Callable[[dict[str, Any]], None] | None = None,
        dtype: torch.dtype = torch.float16,
    ) -> None:
        self.network, self.config, self.out_dir = network, config, out_dir
        self.loss = loss
        self.validate, self.extra, self.report, self.dtype = validate, dict(extra or {}), report, dtype
        self.parameters = [p for p in network.parameters() if p.requires_grad]
        if not self.parameters:
            raise ValueError("the network has no parameters to train")
        self.average = [p.detach().clone() for p in self.parameters]
        self.optimizer = torch.optim.Adam(self.parameters, lr=config.learning_rate, betas=config.betas, fused=True)
        self.iteration = 0
        self.seconds = 0.0

    def resume(self) -> bool:
        """Go on from the state in the folder, if there is one.

        Raises:
            CheckpointError: the state is damaged or belongs to another network.
        """
        path = self.out_dir / STATE_FILE
        if not path.exists():
            return False
        try:
            state = torch.load(path, map_location=self.parameters[0].device, weights_only=True)
            for p, a, value, mean in zip(
                self.parameters, self.average, state["parameters"], state["average"], strict=True
            ):
                p.data.copy_(value)
                a.copy_(mean)
            self.optimizer.load_state_dict(state["optimizer"])
            self.iteration, self.seconds = int(state["iteration"]), float(state["seconds"])
        except (RuntimeError, ValueError, KeyError, EOFError, OSError, pickle.UnpicklingError) as error:
            raise CheckpointError(f"{path} does not fit this training and cannot be resumed from.") from error
        logger.info("resumed at iteration %d", self.iteration)
        return True

    def run(self) -> dict[str, Any]:
        """Train to the end, or to the time limit, and save; returns the last record."""
        config = self.config
        start, before = time.monotonic(), self.seconds
        lap, lap_iteration, losses = time.monotonic(), self.iteration, []
        record: dict[str, Any] = {}
        while self.iteration < config.iterations:
            elapsed = time.monotonic() - start
            if config.time_limit is not None and elapsed >= config.time_limit:
                break
            learning_rate = self._set_learning_rate(elapsed)
            losses.append(self._step())
            self.iteration += 1
            self.seconds = before + time.monotonic() - start
            last = self.iteration == config.iterations
            if self.iteration % config.log_every == 0 or last:
                loss = torch.stack(losses).mean().item()
                if not math.isfinite(loss):
                    raise SRSpaceError(
                        f"the loss is not finite at iteration {self.iteration}; nothing was saved since."
                    )
                now = time.monotonic()
                record = {
                    "iteration": self.iteration,
                    "loss": loss,
                    "learning_rate": learning_rate,
                    "iterations_per_second": (self.iteration - lap_iteration) / max(now - lap, 1e-9),
                    "seconds": round(self.seconds, 1),
                }
                losses = []
                if self.validate is not None and (self.iteration % config.validate_every == 0 or last):
                    record |= self._validation()
                self._log(record)
                lap, lap_iteration = time.monotonic(), self.iteration
            if self.iteration % config.save_every == 0:
                self.save()
        if self.validate is not None and "iteration" in record and record["iteration"] != self.iteration:
            record = {"iteration": self.iteration, "seconds": round(self.seconds, 1)} | self._validation()
            self._log(record)
        self.save()
        return record

    def save(self) -> None:
        """Write the model folder (averaged weights) and the state to resume from."""
        with self._averaged():
            extra = self.extra | {"training": self.config.to_dict() | {"iteration": self.iteration}}
            save_model(self.out_dir, self.network, extra=extra, dtype=self.dtype)
        state = {
            "iteration": self.iteration,
            "seconds": self.seconds,
            "parameters": [p.detach() for p in self.parameters],
            "average": self.average,
            "optimizer": self.optimizer.state_dict(),
        }
        with atomic_path(self.out_dir / STATE_FILE) as temporary:
            torch.save(state, temporary)

    def _step(self) -> Tensor:
        loss = self.loss()
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.parameters, self.config.clip_norm)
        # One bad batch must not poison the weights: the fused optimizer skips the step when this flag is set.
        self.optimizer.found_inf = (~torch.isfinite(norm)).float()  # type: ignore[attr-defined]
        self.optimizer.step()
        decay = min(self.config.ema, (1 + self.iteration) / (10 + self.iteration))
        torch._foreach_lerp_(self.average, [p.detach() for p in self.parameters], 1 - decay)
        return loss.detach()

    def _set_learning_rate(self, elapsed: float) -> float:
        config = self.config
        done = self.iteration / config.iterations
        if config.time_limit is not None:
            done = max(done, elapsed / config.time_limit)
        if config.schedule == "cosine":
            factor = 0.5 * (1 + math.cos(math.pi * min(done, 1)))
        elif config.schedule == "constant":
            factor = 1.0
        else:
            factor = 0.5 ** sum(done >= milestone for milestone in (0.5, 0.75, 0.9, 0.95))
        factor *= min(1.0, (self.iteration + 1) / max(1, config.warmup))
        for group in self.optimizer.param_groups:
            group["lr"] = config.learning_rate * factor
        return config.learning_rate * factor

    def _validation(self) -> dict[str, float]:
        if self.validate is None:
            return {}
        self.network.eval()
        try:
            with self._averaged(), torch.no_grad():
                return dict(self.validate(self.network))
        finally:
            self.network.train()

    def _averaged(self) -> _Swapped:
        return _Swapped(self.parameters, self.average)

    def _log(self, record: dict[str, Any]) -> None:
        self.out_dir.mkdir(parents=True, exist_ok=True)
        with (self.out_dir / LOG_FILE).open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")
        if self.report is not None:
            self.report(record)


class _Swapped:
    """Averaged weights in the network for the length of a block."""

    def __init__(self, parameters: list[nn.Parameter], average: list[Tensor]) -> None:
        self.parameters, self.average = parameters, average

    def __enter__(self) -> None:
        self.kept = [p.detach().clone() for p in self.parameters]
        for p, a in zip(self.parameters, self.average, strict=True):
            p.data.copy_(a)

    def __exit__(self, *_: object) -> None:
        for p, k in zip(self.parameters, self.kept, strict=True):
            p.data.copy_(k)
