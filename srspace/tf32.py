"""Exact float32 where a GPU would round to TF32.

TF32 keeps ten bits of a factor. The flow's linear maps must be inverted more exactly than that.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

_lock = threading.Lock()
_users = 0
_restore: Callable[[], None] | None = None


@contextmanager
def exact_float32() -> Iterator[None]:
    """Have convolutions and matrix products of float32 computed in float32; also usable as a decorator.

    Torch's switches are the process's own: while some thread is inside, they hold for all threads. The last one to
    leave puts back what the first one found.
    """
    global _users, _restore
    with _lock:
        if _users == 0:
            _restore = _make_exact()
        _users += 1
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if _users == 0 and _restore is not None:
                _restore()


def _make_exact() -> Callable[[], None]:
    """Set the switches; returns what sets them back."""
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    try:
        allowed, precision = cudnn.allow_tf32, torch.get_float32_matmul_precision()
        agree = matmul.allow_tf32 == (precision != "highest")
    except RuntimeError:  # torch says so where the switches were set by their newer names
        agree = False
    if not agree:
        return _make_exact_by_newer_names()
    # What is exact already is left alone: setting it would make an explicit choice of a default.
    if allowed:
        cudnn.allow_tf32 = False
    if precision != "highest":
        torch.set_float32_matmul_precision("highest")

    def restore() -> None:
        if allowed:
            cudnn.allow_tf32 = True
        if precision != "highest":
            torch.set_float32_matmul_precision(precision)

    return restore


def _make_exact_by_newer_names() -> Callable[[], None]:
    backends: Any = torch.backends
    switches = [backends.cudnn.conv, backends.cuda.matmul, backends.mkldnn.conv, backends.mkldnn.matmul]
    found = [switch.fp32_precision for switch in switches]
    for switch in switches:
        switch.fp32_precision = "ieee"

    def restore() -> None:
        for switch, precision in zip(switches, found, strict=True):
            switch.fp32_precision = precision

    return restore
