"""Many pictures on the machines of a Ray cluster (https://docs.ray.io).

Ray Data only hands out the work: to actors that each hold the weights, and that read, compute and write with the
local pipeline, a few pictures at a time. Files are the checkpoint. What was written when the driver or an actor died is
kept as it is.
"""

from __future__ import annotations

import os
import pickle
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from srspace.batch.outcome import Done, Failed, Outcome
from srspace.batch.pipeline import Progress
from srspace.batch.plan import Job, Plan
from srspace.batch.records import Recorded, Records
from srspace.batch.remote import RemotePlan, Transfer, carried_out
from srspace.batch.settings import BatchSettings
from srspace.batch.workshop import Workshop
from srspace.errors import CheckpointError, MissingExtraError, ResourceError, SRSpaceError, UsageError, WeightsError

_MOST_AT_A_TIME = 16
_TASKS_A_WORKER = 8
_CORES_A_WORKER = 4
_DECIDING = 16
_STARTS = 3


class RayFlow:
    """What moves the pictures of a run through a cluster.

    Args:
        workshop: knows the settings. It loads no weights here.
        plan: what to do.
        progress: called when a picture has its outcome.
        records: take a record of each, and tell what is done.

    Raises:
        UsageError: there is a picture that comes through a pipe or goes to standard output.
        MissingExtraError: Ray is not installed.
        ResourceError: there is no cluster at the address, or it has not what the workers need.
    """

    def __init__(
        self,
        workshop: Workshop,
        plan: Plan | RemotePlan,
        progress: Callable[[Progress], None] | None,
        records: Records | None,
    ) -> None:
        self._settings, self._made, self._plan = workshop.settings, workshop.expected(), plan
        self._progress, self._records = progress, records
        self._stopping = threading.Event()
        if any(job.streamed or job.target is None for job in plan.jobs):
            raise UsageError("pictures that come through a pipe, or go to standard output, are for the local engine.")
        self._cluster = _Cluster(self._settings)

    def stop(self) -> None:
        """End the run soon."""
        self._stopping.set()

    def outcomes(self) -> Generator[Outcome, None, None]:
        """The outcomes in the order of the inputs."""
        try:
            yield from self._in_order()
        finally:
            self._cluster.close()

    def _in_order(self) -> Iterator[Outcome]:
        with ThreadPoolExecutor(_DECIDING) as threads:
            decided = list(threads.map(lambda decide: decide(), self._plan.decisions(self._made)))
        jobs = [job for job in decided if isinstance(job, Job | Transfer)]
        computed = self._cluster.map(partial(_Worker, self._settings), [self._task(job) for job in jobs])
        for index, one in enumerate(decided):
            if self._stopping.is_set():
                return
            outcome: Any = next(computed) if isinstance(one, Job | Transfer) else one
            if isinstance(outcome, Exception):
                raise outcome
            if self._records is not None:
                self._records.add(outcome)
            if self._progress is not None and isinstance(outcome, Done | Failed):
                self._progress(Progress(outcome.input, index, len(self._plan), 1.0))
            yield outcome
            if self._settings.fail_fast and isinstance(outcome, Failed):
                return

    def _task(self, job: Job | Transfer) -> _Task:
        if self._records is None or isinstance(job, Transfer):
            return _Task(job, None)
        return _Task(job, self._records.of(job.output))


@dataclass(frozen=True)
class _Task:
    """A picture, and what the records tell of its result."""

    job: Job | Transfer
    recorded: Recorded | None


class _Worker:
    """In an actor: weights that are loaded once, and the local pipeline."""

    def __init__(self, settings: BatchSettings) -> None:
        import ray

        device = "cuda" if ray.get_gpu_ids() else settings.device
        local = replace(
            settings, engine="local", address=None, workers=None, device=device, records=None, resume=None,
            fail_fast=False,
        )  # fmt: skip
        self._fatal: Exception | None = None
        try:
            self._workshop = Workshop(local)
            self._workshop.load()
        except SRSpaceError as error:  # an actor that fails would only be started again
            self._fatal = error

    def __call__(self, tasks: list[_Task]) -> Iterable[Outcome | Exception]:
        if self._fatal is not None:
            return [self._fatal] * len(tasks)
        known = [task.recorded for task in tasks if task.recorded is not None]
        recorded = Recorded.joined(known) if known else None
        try:
            transfers = [task.job for task in tasks if isinstance(task.job, Transfer)]
            if transfers:
                return list(carried_out(transfers, self._workshop.run_jobs, self._workshop.settings))
            return list(self._workshop.run_jobs([task.job for task in tasks if isinstance(task.job, Job)], recorded))
        except (WeightsError, CheckpointError) as error:
            return [error] * len(tasks)


def start(**options: Any) -> None:
    """Start or join a cluster by ``ray.init``; tried again, because Ray's own processes get 15 seconds to begin.

    Args:
        **options: of ``ray.init``.

    Raises:
        ConnectionError: there is no cluster at the address.
        Exception: it cannot be started.
    """
    import ray

    for left in reversed(range(_STARTS)):
        try:
            ray.init(**options)
            return
        except ConnectionError:
            raise
        except Exception:
            ray.shutdown()
            if not left:
                raise


class _Cluster:
    """A Ray cluster, started here or joined."""

    def __init__(self, settings: BatchSettings) -> None:
        try:
            import ray
            import ray.data
        except ImportError as error:
            raise MissingExtraError("--engine ray", "Ray", "ray") from error
        self._ray, self._workers = ray, settings.workers
        self._ours = not ray.is_initialized()
        # Ray would take these from the environment of whoever started it.
        passed = {name: os.environ[name] for name in ("PYTHONPATH", "TORCH_HOME", "HF_HOME") if name in os.environ}
        if self._ours:
            try:
                start(
                    address=settings.address, include_dashboard=None if settings.address else False,
                    log_to_driver=False, runtime_env={"env_vars": passed},
                )  # fmt: skip
            except ConnectionError as error:
                raise ResourceError(f"there is no Ray cluster at {settings.address}.") from error
            except Exception as error:  # Ray has no class for it
                raise ResourceError(f"Ray cannot be started: {error}") from error
        try:
            self._resources = self._of_a_worker(settings)
        except ResourceError:
            self.close()
            raise

    def _of_a_worker(self, settings: BatchSettings) -> dict[str, float]:
        """What each worker takes; settles how many there are."""
        found = self._ray.cluster_resources()
        gpus, cores = int(found.get("GPU", 0)), int(found.get("CPU", 0))
        if settings.device.startswith("cuda") and not gpus:
            raise ResourceError("the Ray cluster has no GPU.")
        if gpus and settings.device != "cpu":
            self._workers = min(self._workers or gpus, gpus)
            return {"num_gpus": 1}
        self._workers = min(self._workers or max(1, cores // _CORES_A_WORKER), max(1, cores))
        return {"num_cpus": max(1, cores // self._workers)}

    def map(self, worker: Callable[[], Callable[[list[Any]], Iterable[Any]]], tasks: list[Any]) -> Iterator[Any]:
        """What actors make of the tasks, in their order."""
        if not tasks:
            return
        data, workers = self._ray.data, self._workers or 1
        context = data.DataContext.get_current()
        context.execution_options.preserve_order = True
        context.enable_progress_bars = False
        size = max(1, min(_MOST_AT_A_TIME, len(tasks) // (workers * _TASKS_A_WORKER)))
        groups = [pickle.dumps(tasks[start : start + size]) for start in range(0, len(tasks), size)]
        rows = data.from_items([{"tasks": group} for group in groups], override_num_blocks=len(groups)).map(
            _Actor, fn_constructor_args=(worker,), compute=data.ActorPoolStrategy(size=workers), **self._resources
        )
        for row in rows.iter_rows():
            yield from pickle.loads(row["made"])

    def close(self) -> None:
        if self._ours:
            self._ray.shutdown()


class _Actor:
    """What Ray Data calls."""

    def __init__(self, worker: Callable[[], Callable[[list[Any]], Iterable[Any]]]) -> None:
        self._work = worker()

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        return {"made": _pickled(list(self._work(pickle.loads(row["tasks"]))))}


def _pickled(made: list[Any]) -> bytes:
    try:
        return pickle.dumps(made)
    except Exception:  # an error of some library that holds what cannot be sent
        return pickle.dumps([_plain(one) for one in made])


def _plain(one: Any) -> Any:
    return replace(one, error=RuntimeError(repr(one.error))) if isinstance(one, Failed) else one
