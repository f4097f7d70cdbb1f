"""Work on a GPU launched all at once, from a recording (a CUDA graph).

A small picture keeps a GPU busy for less time than Python needs to launch the kernels one by one; and while it does so,
nothing else in this process can be done in Python. A recording is launched by a single call.
"""

from __future__ import annotations

import logging
from collections import Counter, OrderedDict
from collections.abc import Callable, Hashable, Sequence
from functools import cache
from threading import Lock
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary, WeakSet

import torch
from torch import Tensor, nn

from srspace.devices import is_capped, total_memory

Work = Callable[..., Sequence[Tensor]]

_EAGER_RUNS = 2
"""Before a recording: most pictures are the only ones of their size."""

_MOST = 16
_MOST_SHAPES = 1000
_MOST_PIXELS = 2**19

_log = logging.getLogger(__name__)


class Recorder:
    """Runs functions of tensors; those that are called again and again with the same shapes, from recordings.

    Results are those of the functions, in memory of their own. Several threads may call it.

    Args:
        device: of all tensors. Anything but a CUDA device leaves the calls as they are.
    """

    def __init__(self, device: torch.device) -> None:
        self.device, self.enabled = device, device.type == "cuda"
        self._runs: Counter[Hashable] = Counter()
        self._needed: dict[Hashable, int] = {}
        self._recordings: OrderedDict[Hashable, _Recording] = OrderedDict()
        _recorders.add(self)

    def serves(self, pixels: int, bytes_a_pixel: int) -> bool:
        """Whether work of that size is worth recording, and what it takes can be kept.

        Where memory is limited it cannot: a recording keeps what its work has taken.

        Args:
            pixels: of the LR images.
            bytes_a_pixel: that the work takes.
        """
        if not self.enabled or torch.is_grad_enabled() or pixels > _MOST_PIXELS or is_capped(self.device):
            return False
        return 4 * pixels * bytes_a_pixel <= total_memory(self.device)

    def __call__(self, kind: Hashable, work: Work, *inputs: Tensor) -> list[Tensor]:
        """What ``work`` makes of ``inputs``.

        Args:
            kind: the same for calls that do the same with their inputs.
            work: waits for nothing, and leaves its inputs as they are.
            *inputs: tensors on the device.
        """
        # What records a training step takes down the work itself: a recording cannot be launched within another.
        if self.enabled and not _is_recorded(self.device):
            key = (kind, *((tensor.shape, tensor.stride(), tensor.dtype) for tensor in inputs))
            with _shared(self.device).lock:
                if key in self._recordings or self._is_due(key):
                    recording = self._recording(key, work, inputs)
                    if recording is not None:
                        return recording(inputs)
        return [*work(*inputs)]

    def forget(self) -> bool:
        """Let go of all recordings, and make no more; returns whether there were any."""
        with _shared(self.device).lock:
            there, self.enabled = bool(self._recordings), False
            self._recordings.clear()
        return there

    def _is_due(self, key: Hashable) -> bool:
        if len(self._runs) > _MOST_SHAPES:
            self._runs.clear()
            self._needed.clear()
        self._runs[key] += 1
        return self._runs[key] > self._needed.get(key, _EAGER_RUNS)

    def _recording(self, key: Hashable, work: Work, inputs: Sequence[Tensor]) -> _Recording | None:
        if key not in self._recordings:
            # To record takes as long as many runs: where shapes outnumber the recordings, each has to come more often.
            self._runs[key], self._needed[key] = 0, 4 * self._needed.get(key, _EAGER_RUNS)
            while len(self._recordings) >= _MOST:
                self._recordings.popitem(last=False)
            try:
                self._recordings[key] = _Recording.of(work, inputs, self.device)
            except RuntimeError as error:
                _log.warning("work on %s is not recorded (%s); going on without.", self.device, error)
                self.enabled = False
                self._recordings.clear()
                return None
        self._recordings.move_to_end(key)
        return self._recordings[key]


_recorders: WeakSet[Recorder] = WeakSet()
_of_networks: WeakKeyDictionary[nn.Module, Recorder] = WeakKeyDictionary()


def enlist(network: nn.Module, device: torch.device) -> None:
    """Have :func:`run` record a network, whose weights stay as they are from now on."""
    _of_networks[network] = Recorder(device)


def run(network: nn.Module, pixels: int, *inputs: Tensor) -> Tensor:
    """What a network makes of ``inputs``: from a recording, if it is enlisted and small enough.

    Args:
        network: returns one tensor.
        pixels: of the LR images.
        *inputs: tensors on the network's device.
    """
    recorder, takes = _of_networks.get(network), 4 * sum(tensor.numel() for tensor in inputs)
    if recorder is None or not recorder.serves(pixels, 4 * takes // pixels):
        return network(*inputs)  # type: ignore[no-any-return]
    return recorder(None, lambda *given: [network(*given)], *inputs)[0]


def forget(device: torch.device) -> bool:
    """Let go of all recordings on a device whose memory has run out, and make no more; returns whether any were there.

    Args:
        device: any device.
    """
    forgotten = [recorder.forget() for recorder in list(_recorders) if recorder.device == device]
    return any(forgotten)


def _is_recorded(device: torch.device) -> bool:
    """Whether somebody records what this thread does."""
    return device.type == "cuda" and torch.cuda.is_current_stream_capturing()


class _Shared:
    """What all recordings on a device share: memory, which makes them take turns.

    Attributes:
        lock: held while one is made, or launched.
        over: when the last one is.
        pool: their memory.
    """

    def __init__(self) -> None:
        self.lock = Lock()
        self.over: torch.cuda.Event | None = None
        self.pool: Any = torch.cuda.graph_pool_handle() if torch.cuda.is_available() else None


@cache
def _shared(device: torch.device) -> _Shared:
    return _Shared()


class _Recording(NamedTuple):
    """A recording, and the tensors that it reads and writes."""

    graph: torch.cuda.CUDAGraph
    inputs: list[Tensor]
    outputs: list[Tensor]
    shared: _Shared

    @classmethod
    def of(cls, work: Work, inputs: Sequence[Tensor], device: torch.device) -> _Recording:
        shared = _shared(device)
        with torch.cuda.device(device):
            given = [torch.empty_strided(t.shape, t.stride(), dtype=t.dtype, device=device).copy_(t) for t in inputs]
            stream, graph = torch.cuda.Stream(device), torch.cuda.CUDAGraph()
            stream.wait_stream(torch.cuda.current_stream(device))
            with torch.cuda.stream(stream):
                work(*given)  # libraries choose their algorithms, and make what they need on this stream
            stream.synchronize()
            # Other threads go on using the device meanwhile.
            with torch.cuda.graph(graph, pool=shared.pool, stream=stream, capture_error_mode="thread_local"):
                outputs = [*work(*given)]
        return cls(graph, given, outputs, shared)

    def __call__(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        with torch.cuda.device(inputs[0].device):
            here = torch.cuda.current_stream()
            if self.shared.over is not None:
                here.wait_event(self.shared.over)  # another thread may use another stream
            for own, given in zip(self.inputs, inputs, strict=True):
                own.copy_(given)
            self.graph.replay()
            outputs = [output.clone() for output in self.outputs]
            self.shared.over = here.record_event()
        return outputs
