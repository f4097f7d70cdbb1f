"""A guard for code that must not wait for the device, because a CUDA graph is to hold it."""

from __future__ import annotations

from typing import Any

from torch.utils._python_dispatch import TorchDispatchMode

_WAIT = ("_local_scalar_dense", "nonzero", "_linalg_check_errors", "masked_select", "equal", "is_nonzero", "_unique2")


class NoWaiting(TorchDispatchMode):
    """Fails where a result's value or shape would have to be known on the host."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        if name in _WAIT:
            raise AssertionError(f"{name} waits for the device")
        return func(*args, **(kwargs or {}))
