"""Steps recorded as CUDA graphs, so that the device does not wait for Python to launch thousands of kernels."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Hashable

import torch
from torch import Tensor

logger = logging.getLogger(__name__)

# cuDNN chooses its algorithms, torch.compile its kernels and Adam its state in the first runs.
_EAGER_RUNS = 3


class StepGraphs:
    """Runs a function one by one at first, then records it and replays the recording.

    There is one recording for each kind of call. All share one memory pool, so nothing but the returned tensor may be
    read after a replay, apart from tensors that existed before.

    Args:
        device: of the work; anything but a CUDA device leaves the calls as they are.
        enabled: record at all.
    """

    def __init__(self, device: torch.device, *, enabled: bool = True) -> None:
        self.enabled = enabled and device.type == "cuda"
        self._runs: Counter[Hashable] = Counter()
        self._recorded: dict[Hashable, tuple[torch.cuda.CUDAGraph, Tensor]] = {}
        self._pool = torch.cuda.graph_pool_handle() if self.enabled else None

    def __call__(self, kind: Hashable, work: Callable[[], Tensor]) -> Tensor:
        """The tensor that ``work`` returns.

        Args:
            kind: calls of one kind do the same work on the same tensors.
            work: what to do.
        """
        if not self.enabled:
            return work()
        if kind not in self._recorded:
            self._runs[kind] += 1
            if self._runs[kind] <= _EAGER_RUNS:
                return work()
            try:
                self._record(kind, work)
            except RuntimeError as error:
                logger.warning("steps are not replayed as a CUDA graph: %s", error)
                self.enabled = False
                return work()
        graph, result = self._recorded[kind]
        graph.replay()
        return result.clone()

    def _record(self, kind: Hashable, work: Callable[[], Tensor]) -> None:
        torch.cuda.synchronize()
        # A recording has memory of its own: what the runs before it have left must not stand in its way.
        torch.cuda.empty_cache()
        graph = torch.cuda.CUDAGraph()
        # Other threads (a process group's watchdog) may call CUDA while this one records.
        with torch.cuda.graph(graph, pool=self._pool, capture_error_mode="thread_local"):
            result = work()
        self._recorded[kind] = graph, result
