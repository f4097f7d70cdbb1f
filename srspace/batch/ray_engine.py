"""Many pictures on the machines of a Ray cluster (https://docs.ray.io).

Ray Data only hands out the work: from one task that decides what there is to do, while the first pictures are computed
already, to actors that each hold the weights, and that read, compute and write with the local pipeline, a few pictures
at a time. Files are the checkpoint. What was written when the driver or an actor died is kept as it is.
"""

from __future__ import annotations

import os
import pickle
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import Any

from srspace.batch.outcome import Failed, Made, Outcome
from srspace.batch.pipeline import Progress, report
from srspace.batch.plan import Job, Plan
from srspace.batch.records import Recorded, Records
from srspace.batch.remote import RemotePlan, Transfer, carried_out
from srspace.batch.sending import pickled
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
        recorded = None if self._records is None else self._records.recorded
        size = max(1, min(_MOST_AT_A_TIME, len(self._plan) // (self._cluster.workers * _TASKS_A_WORKER)))
        groups = partial(decided_groups, self._plan, self._made, recorded, size)
        for index, outcome in enumerate(self._cluster.map(partial(_Worker, self._settings), groups)):
            if self._stopping.is_set():
                return
            if isinstance(outcome, Exception):
                raise outcome
            if self._records is not None:
                self._records.add(outcome)
            report(self._progress, outcome, index, len(self._plan))
            yield outcome
            if self._settings.fail_fast and isinstance(outcome, Failed):
                return


@dataclass(frozen=True)
class _Task:
    """A picture, and what the records tell of its result."""

    job: Job | Transfer
    recorded: Recorded | None


def decided_groups(
    plan: Plan | RemotePlan, made: Made, recorded: Recorded | None, size: int
) -> Iterator[list[_Task | Outcome]]:
    """What there is to do and, of other pictures, the outcome: in the order of the inputs, decided when asked for.

    Args:
        plan: of the run.
        made: with what results are made.
        recorded: what the records tell; None without any.
        size: pictures in a group; the last one may have fewer.
    """
    decisions = plan.decisions(made)
    at_a_time = size * -(-_DECIDING // size)  # deciding waits for the storage
    with ThreadPoolExecutor(_DECIDING) as threads:
        while some := list(islice(decisions, at_a_time)):
            decided = [_as_task(one, recorded) for one in threads.map(lambda decide: decide(), some)]
            yield from (decided[start : start + size] for start in range(0, len(decided), size))


def _as_task(decided: Job | Transfer | Outcome, recorded: Recorded | None) -> _Task | Outcome:
    if isinstance(decided, Outcome):
        return decided
    known = None if recorded is None or isinstance(decided, Transfer) else recorded.of(decided.output)
    return _Task(decided, known)


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

    def __call__(self, group: list[_Task | Outcome]) -> list[Outcome | Exception]:
        made = iter(self._carried_out([one for one in group if isinstance(one, _Task)]))
        return [next(made) if isinstance(one, _Task) else one for one in group]

    def _carried_out(self, tasks: list[_Task]) -> Iterable[Outcome | Exception]:
        if not tasks:
            return []
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
    """A Ray cluster, started here or joined.

    Attributes:
        workers: how many there are.
    """

    def __init__(self, settings: BatchSettings) -> None:
        try:
            import ray
            import ray.data
        except ImportError as error:
            raise MissingExtraError("--engine ray", "Ray", "ray") from error
        self._ray = ray
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
            self.workers, self._resources = self._of_workers(settings)
        except ResourceError:
            self.close()
            raise

    def _of_workers(self, settings: BatchSettings) -> tuple[int, dict[str, float]]:
        """How many workers there are, and what each takes."""
        found = self._ray.cluster_resources()
        gpus, cores = int(found.get("GPU", 0)), int(found.get("CPU", 0))
        if settings.device.startswith("cuda") and not gpus:
            raise ResourceError("the Ray cluster has no GPU.")
        if gpus and settings.device != "cpu":
            return min(settings.workers or gpus, gpus), {"num_gpus": 1}
        workers = min(settings.workers or max(1, cores // _CORES_A_WORKER), max(1, cores))
        return workers, {"num_cpus": max(1, cores // workers)}

    def map(
        self,
        worker: Callable[[], Callable[[list[Any]], Iterable[Any]]],
        groups: Callable[[], Iterator[list[Any]]],
    ) -> Iterator[Any]:
        """What actors make of groups of tasks, in their order.

        Args:
            worker: called in each actor.
            groups: called in a task of its own, which makes groups ahead of the actors.
        """
        ray = self._ray
        begin = ray.data.from_items([{"groups": 0}], override_num_blocks=1)
        context = begin.context  # of this data alone: other data in this process is none of our business
        context.execution_options.preserve_order = True
        context.enable_progress_bars = False
        context.target_max_block_size = 1  # each group is sent at once, and not with later ones
        kept = ray.put(groups)

        def in_rows(_: Any) -> Iterator[Any]:
            import pyarrow

            for group in ray.get(kept)():
                yield pyarrow.table({"group": [pickled(group)]})

        # With other resources than the actors have, Ray does not make it a part of them.
        rows = begin.map_batches(in_rows, num_cpus=0)
        actors = ray.data.ActorPoolStrategy(size=self.workers)
        made = rows.map(_Actor, fn_constructor_args=(worker,), compute=actors, **self._resources)
        for table in made.iter_batches(prefetch_batches=0, batch_size=None, batch_format="pyarrow"):
            for group in table["made"].to_pylist():
                yield from pickle.loads(group)

    def close(self) -> None:
        if self._ours:
            self._ray.shutdown()


class _Actor:
    """What Ray Data calls."""

    def __init__(self, worker: Callable[[], Callable[[list[Any]], Iterable[Any]]]) -> None:
        self._work = worker()

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        return {"made": pickled(list(self._work(pickle.loads(row["group"]))))}
