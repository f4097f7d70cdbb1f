"""Peak memory of a piece of work."""

from __future__ import annotations

import threading
from types import TracebackType

import psutil
import torch

_INTERVAL = 0.01


class PeakMemory:
    """Context manager that keeps the highest memory seen while it is entered; it can be entered again.

    On CUDA it is torch's allocated memory; elsewhere the resident memory of this process, looked at 100 times a second.

    Attributes:
        peak: in bytes.
    """

    def __init__(self, device: torch.device) -> None:
        self.device, self.peak = device, 0
        self._stop: threading.Event | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> PeakMemory:
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)
        else:
            self._stop = threading.Event()
            self._thread = threading.Thread(target=self._watch, args=(self._stop,), daemon=True)
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._stop is None or self._thread is None:
            self.peak = max(self.peak, torch.cuda.max_memory_allocated(self.device))
            return
        self._stop.set()
        self._thread.join()

    def _watch(self, stop: threading.Event) -> None:
        process = psutil.Process()
        while True:
            self.peak = max(self.peak, process.memory_info().rss)
            if stop.wait(_INTERVAL):
                return
