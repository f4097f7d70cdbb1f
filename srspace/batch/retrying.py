"""Trying again what a disk or a lack of memory made fail; what is wrong with a picture stays wrong."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable
from typing import TypeVar

from srspace.errors import OutputError, ResourceError, UnreadableError

T = TypeVar("T")

FIRST_PAUSE = 0.5
"""Seconds before the first retry; before each further one the pause is twice as long."""

_LONGEST_PAUSE = 30.0
_LASTING = {
    errno.EACCES, errno.EEXIST, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.ENOENT, errno.ENOTDIR,
    errno.EPERM, errno.EROFS,
}  # fmt: skip


def passing(error: BaseException) -> bool:
    """Whether what failed may go well the next time."""
    from srspace.devices import out_of_memory  # loads torch

    if isinstance(error, UnreadableError | OutputError):
        return isinstance(error.__cause__, OSError) and error.__cause__.errno not in _LASTING
    return isinstance(error, ResourceError) or out_of_memory(error)


def retrying(work: Callable[[], T], retries: int, *, goes_on: Callable[[], bool] = lambda: True) -> T:
    """Do ``work``, and up to ``retries`` times again where :func:`passing` says so.

    Args:
        work: what to do.
        retries: how often to try again.
        goes_on: asked before each retry.

    Raises:
        Exception: what the last try raised.
    """
    pause = FIRST_PAUSE
    for _ in range(retries):
        try:
            return work()
        except Exception as error:
            if not passing(error):
                raise
        _wait(pause, goes_on)
        if not goes_on():
            break
        pause = min(2 * pause, _LONGEST_PAUSE)
    return work()


def _wait(seconds: float, goes_on: Callable[[], bool]) -> None:
    end = time.monotonic() + seconds
    while goes_on() and (left := end - time.monotonic()) > 0:
        time.sleep(min(0.1, left))
