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
import torch.distributed as dist
from torch import Tensor, nn

from srspace.checkpoints import save_model
from srspace.config import TrainConfig
from srspace.errors import CheckpointError, SRSpaceError
from srspace.files import atomic_path

logger = logging.getLogger(__name__)

STATE_FILE = "training.pt"
LOG_FILE = "log.jsonl"
BEST_FOLDER = "best"
_EAGER_STEPS = 11
_CLOCK_EVERY = 20


class Loop:
    """Minimise a loss over the parameters of ``network`` that require gradients.

    The folder holds, whenever it is looked at, a whole model folder (moving average of the weights), the state to
    resume from and a log with one JSON object per line; with a ``score``, a further model folder ``best`` holds the
    weights that validated best, because a long training on few pictures learns them by heart.

    In a process group (``torchrun``) every process draws its own batches, gradients are averaged, and the first
    process alone validates, logs and saves.

    Args:
        network: what is saved; may hold frozen parts.
        loss: called without arguments, draws a batch and returns the scalar loss.
        config: settings.
        out_dir: the folder.
        validate: called with the averaged network; returns figures to log.
        score: of those figures; lower is better.
        extra: further entries for ``config.json``.
        report: called with every log record.
        dtype: type that weights are stored in.
        graph: replay each step as a CUDA graph (on a GPU only); where that fails, steps are run one by one.
        rates: factors on the learning rate by name prefix of parameters; the first that fits counts.
    """

    def __init__(
        self,
        network: nn.Module,
        loss: Callable[[], Tensor],
        config: TrainConfig,
        out_dir: Path,
        *,
        validate: Callable[[nn.Module], Mapping[str, float]] | None = None,
        score: Callable[[Mapping[str, float]], float] | None = None,
        extra: Mapping[str, Any] | None = None,
        report: Callable[[dict[str, Any]], None] | None = None,
        dtype: torch.dtype = torch.float16,
        graph: bool = False,
        rates: Mapping[str, float] | None = None,
    ) -> None:
        self.network, self.config, self.out_dir = network, config, out_dir
        self.loss = loss
        on_gpu = next(network.parameters()).device.type == "cuda"
        if on_gpu:
            network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.validate, self.extra, self.report, self.dtype = validate, dict(extra or {}), report, dtype
        self.score, self.best = score, math.inf
        named = [(name, p) for name, p in network.named_parameters() if p.requires_grad]
        if not named:
            raise ValueError("the network has no parameters to train")
        self.parameters = [p for _, p in named]
        self.device = self.parameters[0].device
        self.distributed = dist.is_available() and dist.is_initialized()
        self.main = not self.distributed or dist.get_rank() == 0
        if self.distributed:
            for tensor in network.state_dict().values():
                _broadcast(tensor)
            self.flat = torch.zeros(sum(p.numel() for p in self.parameters), device=self.device)
            self.gradients = _views(self.flat, self.parameters)
        self.average = [p.detach().clone() for p in self.parameters]
        self.decay = torch.zeros((), device=self.device)
        self.optimizer = torch.optim.Adam(
            _groups(named, dict(rates or {})), betas=config.betas, fused=True, capturable=on_gpu
        )
        for group in self.optimizer.param_groups:
            group["lr"] = torch.zeros((), device=self.device) if on_gpu else 0.0
        self.optimizer.found_inf = torch.zeros((), device=self.device)  # type: ignore[attr-defined]
        self.graph = _StepGraph(self._differentiate, self._update) if graph and on_gpu else None
        self.iteration = 0
        self.seconds = 0.0
        self._clock = 0.0

    def resume(self) -> bool:
        """Go on from the state in the folder, if there is one.

        Raises:
            CheckpointError: the state is damaged or belongs to another network.
        """
        path = self.out_dir / STATE_FILE
        if not path.exists():
            return False
        try:
            state = torch.load(path, map_location=self.device, weights_only=True)
            for p, a, value, mean in zip(
                self.parameters, self.average, state["parameters"], state["average"], strict=True
            ):
                p.data.copy_(value)
                a.copy_(mean)
            kept = [(group["lr"], group["factor"]) for group in self.optimizer.param_groups]
            self.optimizer.load_state_dict(state["optimizer"])
            for group, (rate, factor) in zip(self.optimizer.param_groups, kept, strict=True):
                group["lr"], group["factor"] = rate, factor
            self.iteration, self.seconds = int(state["iteration"]), float(state["seconds"])
            self.best = float(state.get("best", math.inf))
        except (RuntimeError, ValueError, KeyError, EOFError, OSError, pickle.UnpicklingError) as error:
            raise CheckpointError(f"{path} does not fit this training and cannot be resumed from.") from error
        logger.info("resumed at iteration %d", self.iteration)
        return True

    def run(self) -> dict[str, Any]:
        """Train to the end, or to the time limit, and save; returns the last record."""
        cudnn = torch.backends.cudnn
        with cudnn.flags(enabled=True, benchmark=True, deterministic=False, allow_tf32=cudnn.allow_tf32):
            return self._run()

    def _run(self) -> dict[str, Any]:
        config = self.config
        start, before = time.monotonic(), self.seconds
        lap, lap_iteration, losses = time.monotonic(), self.iteration, []
        record: dict[str, Any] = {}
        validated = -1
        while self.iteration < config.iterations:
            elapsed = self._elapsed(start)
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
                if self.iteration % config.validate_every == 0 or last:
                    record |= self._validation()
                    validated = self.iteration
                self._log(record)
                lap, lap_iteration = time.monotonic(), self.iteration
            if self.iteration % config.save_every == 0:
                self.save()
        if record and validated != self.iteration:
            record = {"iteration": self.iteration, "seconds": round(self.seconds, 1)} | self._validation()
            self._log(record)
        self.save()
        return record

    def save(self) -> None:
        """Write the model folder (averaged weights) and the state to resume from."""
        if not self.main:
            return
        with self._averaged():
            self._save_model(self.out_dir)
        state = {
            "iteration": self.iteration,
            "seconds": self.seconds,
            "best": self.best,
            "parameters": [p.detach() for p in self.parameters],
            "average": self.average,
            "optimizer": self.optimizer.state_dict(),
        }
        with atomic_path(self.out_dir / STATE_FILE) as temporary:
            torch.save(state, temporary)

    def _save_model(self, folder: Path) -> None:
        extra = self.extra | {"training": self.config.to_dict() | {"iteration": self.iteration}}
        save_model(folder, self.network, extra=extra, dtype=self.dtype)

    def _step(self) -> Tensor:
        self.decay.fill_(min(self.config.ema, (1 + self.iteration) / (10 + self.iteration)))
        if self.graph is not None and self.iteration >= _EAGER_STEPS:
            try:
                return self.graph.replay(self._reduce)
            except RuntimeError as error:
                if self.graph.captured:
                    raise
                logger.warning("steps are not replayed as a CUDA graph: %s", error)
                self.graph = None
        loss = self._differentiate()
        self._reduce()
        self._update()
        return loss

    def _differentiate(self) -> Tensor:
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.loss()
        loss.backward()
        if self.distributed:
            torch._foreach_copy_(self.gradients, [_gradient(p) for p in self.parameters])
        return loss.detach()

    def _reduce(self) -> None:
        if self.distributed:
            dist.all_reduce(self.flat)

    def _update(self) -> None:
        if self.distributed:
            self.flat.div_(dist.get_world_size())
            for p, gradient in zip(self.parameters, self.gradients, strict=True):
                p.grad = gradient
        norm = torch.nn.utils.clip_grad_norm_(self.parameters, self.config.clip_norm)
        # One bad batch must not poison the weights: the fused optimizer skips the step when this flag is set.
        self.optimizer.found_inf.copy_(~torch.isfinite(norm))  # type: ignore[attr-defined]
        self.optimizer.step()
        values = [p.detach() for p in self.parameters]
        torch._foreach_mul_(self.average, self.decay)
        torch._foreach_add_(self.average, torch._foreach_mul(values, 1 - self.decay))

    def _elapsed(self, start: float) -> float:
        """Seconds since ``start``; all processes of a group read the first one's clock, now and then."""
        if not self.distributed:
            return time.monotonic() - start
        if self.iteration % _CLOCK_EVERY == 0:
            clock = torch.tensor(time.monotonic() - start, device=self.device)
            dist.broadcast(clock, 0)
            self._clock = clock.item()
        return self._clock

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
            value = config.learning_rate * factor * group["factor"]
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(value)
            else:
                group["lr"] = value
        return config.learning_rate * factor

    def _validation(self) -> dict[str, float]:
        if self.validate is None or not self.main:
            return {}
        self.network.eval()
        try:
            with self._averaged(), torch.no_grad():
                figures = dict(self.validate(self.network))
                if self.score is not None and figures and (score := self.score(figures)) < self.best:
                    self.best = score
                    self._save_model(self.out_dir / BEST_FOLDER)
                return figures
        finally:
            self.network.train()

    def _averaged(self) -> _Swapped:
        return _Swapped(self.parameters, self.average)

    def _log(self, record: dict[str, Any]) -> None:
        if not self.main:
            return
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
        self._set(self.average)

    def __exit__(self, *_: object) -> None:
        self._set(self.kept)

    @torch.no_grad()
    def _set(self, values: list[Tensor]) -> None:
        # Not through p.data: version counters must move, since the flow keeps inverses by them, and a replayed
        # CUDA graph has changed weights without moving any.
        for p, value in zip(self.parameters, values, strict=True):
            p.copy_(value)


class _StepGraph:
    """The two halves of a step as CUDA graphs, with the exchange of gradients between them left to the caller."""

    def __init__(self, differentiate: Callable[[], Tensor], update: Callable[[], None]) -> None:
        self.differentiate, self.update = differentiate, update
        self.captured = False

    def replay(self, between: Callable[[], None]) -> Tensor:
        """One step; the first call captures it."""
        if not self.captured:
            self._capture()
        self.first.replay()
        between()
        self.second.replay()
        return self.loss.clone()

    def _capture(self) -> None:
        torch.cuda.synchronize()
        self.first, self.second = torch.cuda.CUDAGraph(), torch.cuda.CUDAGraph()
        # Other threads (a process group's watchdog) may call CUDA while this one captures.
        with torch.cuda.graph(self.first, capture_error_mode="thread_local"):
            self.loss = self.differentiate()
        with torch.cuda.graph(self.second, pool=self.first.pool(), capture_error_mode="thread_local"):
            self.update()
        self.captured = True


def seed_process(seed: int) -> None:
    """Seed torch; every process of a group gets a stream of its own."""
    rank = dist.get_rank() if dist.is_available() and dist.is_initialized() else 0
    torch.manual_seed(seed + 1_000_003 * rank)


def _groups(named: list[tuple[str, nn.Parameter]], rates: dict[str, float]) -> list[dict[str, Any]]:
    """Parameters in groups of one factor each, in the network's order within a group."""
    groups: dict[float, list[nn.Parameter]] = {}
    for name, parameter in named:
        factor = next((f for prefix, f in rates.items() if name.startswith(prefix)), 1.0)
        groups.setdefault(factor, []).append(parameter)
    return [{"params": parameters, "factor": factor} for factor, parameters in groups.items()]


def _views(flat: Tensor, parameters: list[nn.Parameter]) -> list[Tensor]:
    """Parts of ``flat`` with the parameters' sizes and strides, so that the fused optimizer takes them as gradients."""
    views, offset = [], 0
    for p in parameters:
        views.append(flat.as_strided(p.shape, p.stride(), offset))
        offset += p.numel()
    return views


def _broadcast(tensor: Tensor) -> None:
    packed = tensor.detach().contiguous()
    dist.broadcast(packed, 0)
    tensor.detach().copy_(packed)


def _gradient(parameter: nn.Parameter) -> Tensor:
    return torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
