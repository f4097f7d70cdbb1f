"""The process's standard streams, where a picture comes from or goes to."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO

from srspace.errors import ImageError, OutputError, TerminalError


def standard_input() -> BinaryIO:
    """Standard input as a stream of bytes.

    Raises:
        ImageError: it is closed, or a terminal.
    """
    if sys.stdin is None:
        raise ImageError("standard input is closed.")
    if sys.stdin.isatty():
        raise ImageError("standard input is a terminal; redirect a picture into it.")
    return sys.stdin.buffer


def check_standard_output() -> None:
    """Find out before the work whether a picture may go to standard output.

    Raises:
        TerminalError: it is a terminal.
    """
    if sys.stdout is not None and sys.stdout.isatty():
        raise TerminalError


def write_standard_output(data: bytes) -> None:
    """Write a picture to standard output.

    Raises:
        OutputError: it is closed or full.
    """
    with writing_standard_output():
        if sys.stdout is None:
            raise OSError("it is closed")
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()


@contextmanager
def writing_standard_output() -> Iterator[None]:
    """Turn what goes wrong while standard output is written into one sentence.

    Raises:
        OutputError: it is closed or full.
    """
    try:
        yield
    except (OSError, ValueError) as error:
        abandon_standard_output()
        closed = isinstance(error, BrokenPipeError)
        detail = "it was closed" if closed else getattr(error, "strerror", None) or str(error)
        raise OutputError(f"standard output cannot be written: {detail}.") from error


def abandon_standard_output() -> None:
    """Send what is still buffered nowhere, so that the interpreter does not fail on it when it ends."""
    with suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
