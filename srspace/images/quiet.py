"""Decoders warn about what is wrong with a file; here that is either put right or told as an error."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

_lock = threading.Lock()
_inside = 0
_outer: warnings.catch_warnings[None] | None = None


@contextmanager
def no_warnings() -> Iterator[None]:
    """Ignore warnings inside the block, from several threads at once, too.

    ``warnings.catch_warnings`` alone is for one thread: two that leave it in another order than they entered it would
    switch warnings off for good.
    """
    global _inside, _outer
    with _lock:
        if _inside == 0:
            _outer = warnings.catch_warnings(action="ignore")
            _outer.__enter__()
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0 and _outer is not None:
                _outer.__exit__(None, None, None)
                _outer = None
