"""Triton kernels for an NVIDIA GPU, where the eager path spends its time on small passes over memory.

Between two hidden layers a candidate is 64 channels wide, at the subnet's ends it is 6 to 24. Two kernels join what is
narrow to the convolution beside it, so that only the wide maps travel through memory: the first convolution is read
from the float32 state directly, and the last one ends in the coupling's and the linear map's inverse, in float32
registers. A third writes each convolution of a dense block to its place beside the block's earlier outputs.

Triton launches on the current device, whatever the tensors are on; so every launch names theirs.
"""

from __future__ import annotations

import atexit
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache

import torch
from torch import Tensor

try:
    from srspace.models import triton_kernels as programs
except ImportError:  # no Triton on this platform: the eager path is used
    programs = None  # type: ignore[assignment]

WORTHWHILE = 8192
"""LR pixels from which on the kernels are used."""

_log = logging.getLogger(__name__)
_DENSE = {"PIXELS": 128, "num_warps": 4, "num_stages": 4}
_FIRST = {"PIXELS": 128, "num_warps": 4}
_LAST = {"PIXELS": 64, "num_warps": 4, "num_stages": 3}


@cache
def available(device: torch.device) -> bool:
    """Whether the kernels can run on ``device``: Triton is there, and tensor cores that take bfloat16."""
    return programs is not None and device.type == "cuda" and torch.cuda.get_device_capability(device) >= (8, 0)


class WarmUp:
    """Compiles kernels in a thread while the work goes on without them: nobody waits for a compiler.

    Triton keeps what it has compiled on disk, so that this takes some seconds once per machine and a fraction of one
    afterwards. At exit it is cut short after the kernel that is being compiled.

    Args:
        device: where the kernels are to run.
        steps: runs every kernel once, on next to nothing, and yields after each.
    """

    def __init__(self, device: torch.device, steps: Callable[[], Iterator[None]]) -> None:
        self.done = False
        self._device, self._steps = device, steps
        self._cut_short = threading.Event()
        self._thread = threading.Thread(target=self._run, name="srspace-kernels", daemon=True)
        atexit.register(self.stop)
        self._thread.start()

    def wait(self) -> bool:
        """Wait for the end; returns whether the kernels can be used."""
        self._thread.join()
        return self.done

    def stop(self) -> None:
        self._cut_short.set()
        self._thread.join()

    @torch.no_grad()
    def _run(self) -> None:
        try:
            with _side_stream(self._device):
                for _ in self._steps():
                    if self._cut_short.is_set():
                        return
            self.done = True
        except Exception as error:  # a compiler may fail in many ways, and the eager path serves as well
            _log.warning("the GPU kernels cannot be used here (%s: %s); going on without.", type(error).__name__, error)
        finally:
            atexit.unregister(self.stop)


@contextmanager
def _side_stream(device: torch.device) -> Iterator[None]:
    if device.type != "cuda":
        yield
        return
    with torch.cuda.device(device), torch.cuda.stream(torch.cuda.Stream(device)):
        yield
        torch.cuda.current_stream().synchronize()


def padded(channels: int) -> int:
    """The width to which the kernels pad a short channel axis: tensor cores take 16 at least."""
    return max(16, 1 << (channels - 1).bit_length())


def pack_first(weight: Tensor) -> Tensor:
    """``(hidden, kept, 3, 3)`` to ``(K, hidden)``, rows ordered (channel, dy, dx) and padded to a multiple of 64."""
    rows = weight.flatten(1).t()
    return torch.nn.functional.pad(rows, (0, 0, 0, -len(rows) % 64)).contiguous()


def pack_last(weight: Tensor) -> Tensor:
    """``(out, hidden, 3, 3)`` to ``(9, hidden, padded(out))``."""
    taps = weight.permute(2, 3, 1, 0).flatten(0, 1)
    return torch.nn.functional.pad(taps, (0, padded(weight.shape[0]) - weight.shape[0])).contiguous()


def first_layer(state: Tensor, weight: Tensor, hidden: Tensor) -> Tensor:
    """``relu(conv3x3(state[:, :kept]) + hidden)``.

    Args:
        state: ``(B, C, H, W)`` float32, contiguous.
        weight: from :func:`pack_first`; rows past the kept channels are zero.
        hidden: ``(1, hidden, H, W)``, channels last.

    Returns:
        ``(B, hidden, H, W)`` in ``hidden``'s type, channels last.
    """
    batch, channels, height, width = state.shape
    wide = hidden.shape[1]
    out = torch.empty(
        batch, wide, height, width, dtype=hidden.dtype, device=state.device, memory_format=torch.channels_last
    )
    grid = (-(-height * width // _FIRST["PIXELS"]), batch)
    with torch.cuda.device_of(state):
        programs.first_layer[grid](
            state, weight, hidden, out, height, width,
            CHANNELS=channels, ROWS=weight.shape[0], HIDDEN=wide, **_FIRST,
        )  # fmt: skip
    return out


def last_layer(
    x: Tensor,
    state: Tensor,
    weight: Tensor,
    bias: Tensor,
    gain: Tensor,
    offset: Tensor,
    mix: Tensor,
    *,
    kept: int,
    eps: float,
    out: Tensor,
) -> Tensor:
    """The subnet's last convolution, the inverse of both affine maps, and the linear map that follows.

    Args:
        x: ``(B, hidden, H, W)``, channels last.
        state: ``(B, C, H, W)`` float32, contiguous.
        weight: from :func:`pack_last`; output channels take turns: shift, logit of the scale, shift, logit, ...
        bias: ``(2 * padded,)`` float32, in the same order.
        gain: ``(1, C, H, W)`` float32, contiguous.
        offset: ``(1, C, H, W)`` float32, contiguous.
        mix: ``(2, padded, padded(C))`` float32: rows that take the kept and the changed channels.
        kept: channels that the coupling left alone.
        eps: lower bound of the scales.
        out: ``(B, C, H, W)`` float32; may be ``state`` itself.
    """
    batch, channels, height, width = state.shape
    grid = (-(-height * width // _LAST["PIXELS"]), batch)
    with torch.cuda.device_of(state):
        programs.last_layer[grid](
            x, state, weight, bias, gain, offset, mix, out, height, width, eps,
            KEPT=kept, CHANNELS=channels, HIDDEN=x.shape[1], PAD=weight.shape[2] // 2, OUT=mix.shape[2],
            **_LAST,
        )  # fmt: skip
    return out


def dense_layer(
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    out: Tensor,
    *,
    at: int = 0,
    residuals: tuple[Tensor, ...] = (),
) -> None:
    """One convolution of a dense block, in place: it reads the first channels of ``x`` and writes some of ``out``.

    Without residuals the output is ``leaky_relu(conv3x3(x) + bias)``; each residual r replaces an output v by
    ``r + 0.2 * v``, in order, and no activation is applied.

    Args:
        x: ``(1, across, H, W)``, channels last.
        weight: ``(9, in, out)`` from :func:`pack_last`.
        bias: ``(out,)``.
        out: as ``x``; another tensor when residuals are given, for it is written where neighbours are read.
        at: first channel written.
        residuals: none, one or two tensors like ``x``, of which the first channels are taken.
    """
    across, height, width = x.shape[1:]
    inner, outer = (*residuals, x, x)[:2]
    inputs, outputs = weight.shape[1:]
    with torch.cuda.device_of(x):
        programs.dense_layer[(-(-height * width // _DENSE["PIXELS"]),)](
            x, weight, bias, out[:, at:], inner, outer, height, width,
            ACROSS=across, IN=inputs, OUT=outputs, STEP=64 if inputs % 64 == 0 else 32, RESIDUALS=len(residuals),
            **_DENSE,
        )  # fmt: skip
