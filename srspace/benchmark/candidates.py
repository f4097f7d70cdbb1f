"""The candidates of one image at one temperature, drawn once for all rows that use them."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from types import TracebackType

import numpy as np
import torch
from torch import Tensor

from srspace.benchmark.memory import PeakMemory
from srspace.collapse import Spool
from srspace.config import SamplingConfig
from srspace.devices import available_memory
from srspace.models import PreparedSRFlow
from srspace.sampling import Redraw, Sampler


class SharedCandidates:
    """Draws candidates in order and keeps the first few, in memory or, where that is short, in a temporary file.

    A context manager: the kept ones are gone when it ends.

    Args:
        model: the flow, on its device.
        lr: ``(3, h, w)`` in [0, 1].
        sampling: how many to draw, and how.
        keep: how many of the first are kept.
        progress: called with the share done.

    Attributes:
        seconds: time spent on drawing so far, whoever used the candidates in between.
        memory: peak memory while drawing.
        redraws: candidates that were replaced.
    """

    def __init__(
        self,
        model: PreparedSRFlow,
        lr: Tensor,
        sampling: SamplingConfig,
        *,
        keep: int,
        progress: Callable[[float], None] | None = None,
    ) -> None:
        self.sampler = Sampler(model, lr, sampling, progress=progress)
        self.count, self.keep = sampling.samples or 0, keep
        self.seconds = 0.0
        self.memory = PeakMemory(model.device)
        self.redraws: list[Redraw] = []
        shape = (keep, 3, lr.shape[1] * model.scale, lr.shape[2] * model.scale)
        self._file = tempfile.TemporaryFile()  # noqa: SIM115  closed by __exit__
        self._stack: np.ndarray
        if 4 * int(np.prod(shape)) > available_memory(torch.device("cpu")) / 4:
            self._stack = np.memmap(self._file, np.float32, "w+", shape=shape)
        else:
            self._stack = np.empty(shape, np.float32)

    def __enter__(self) -> SharedCandidates:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        del self._stack
        self._file.close()

    @property
    def seconds_each(self) -> float:
        """Time per candidate."""
        return self.seconds / self.count

    def draw(self) -> Iterator[tuple[int, Tensor]]:
        """Draw all: index and image ``(3, H, W)`` in [0, 1] on the CPU."""
        _, height, width = self._stack.shape[1:]
        with Spool(self.count, height, width) as spool:
            start = time.perf_counter()
            with self.memory:
                self.sampler.collapse(spool.maker)
            self.seconds += time.perf_counter() - start
            self.redraws = self.sampler.redraws
            for index, image in enumerate(spool):
                if index < self.keep:
                    self._stack[index] = image.numpy()
                yield index, image

    def first(self, count: int) -> Tensor:
        """The first ``count`` kept candidates, ``(count, 3, H, W)``; they must not be written to."""
        return torch.from_numpy(self._stack[:count])
