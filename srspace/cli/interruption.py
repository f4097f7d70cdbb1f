"""Ctrl-C and SIGTERM while pictures are worked on: the first asks the run to end soon, the second ends it at once."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any, NoReturn

from srspace.cli.failures import EXIT_INTERRUPTED, EXIT_TERMINATED

_SHOW_CURSOR = b"\x1b[?25h"


@dataclass
class Interruption:
    """Whether a run was interrupted.

    Attributes:
        signal: by which signal; None: it was not.
    """

    signal: int | None = None

    @property
    def exit_code(self) -> int:
        """What the process is to end with; shells tell of programs that a signal has ended likewise."""
        return EXIT_TERMINATED if self.signal == signal.SIGTERM else EXIT_INTERRUPTED


class InterruptedRunError(Exception):
    """A run was interrupted, and has ended in good order.

    Attributes:
        exit_code: of the process.
    """

    def __init__(self, exit_code: int, left: int, total: int) -> None:
        rest = f" {left} of {total} pictures are left; the same command goes on with them." if total > 1 else ""
        super().__init__(f"interrupted; nothing is half-written.{rest}")
        self.exit_code = exit_code


@contextmanager
def interruptible(stop: Callable[[], None], told: Callable[[], None] = lambda: None) -> Iterator[Interruption]:
    """Have the first SIGINT or SIGTERM call ``stop``, and the second end the process.

    Signals that are ignored, as background jobs ignore SIGINT, stay so. Outside of the main thread nothing changes.

    Args:
        stop: asks a run to end soon.
        told: tells the user that it does.
    """
    found = Interruption()

    def handle(number: int, frame: FrameType | None) -> None:
        if found.signal is not None:
            _end_at_once(number)
        found.signal = number
        stop()
        told()

    usual = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
    before: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        before = {number: usual[number] for number in usual if signal.getsignal(number) is usual[number]}
    for number in before:
        signal.signal(number, handle)
    try:
        yield found
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _end_at_once(number: int) -> NoReturn:
    if os.isatty(2):
        os.write(2, _SHOW_CURSOR)  # a bar may have hidden it
    os.write(2, b"srspace: ended at once; nothing is half-written.\n")
    os._exit(128 + number)
