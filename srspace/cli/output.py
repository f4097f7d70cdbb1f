"""What commands print: progress and messages on stderr, results on stdout."""

from __future__ import annotations

import json
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, BinaryIO

from rich.console import Console

from srspace.errors import ImageError, OutputError

if TYPE_CHECKING:
    from rich.progress import Progress

debug = False
"""Whether tracebacks are shown; set by :func:`srspace.cli.main.main`."""


def printable(text: str) -> str:
    """``text`` on one line: control characters and bytes that are not UTF-8, as file names may hold, are escaped."""
    return "".join(c if c.isprintable() else _escaped(c) for c in text)


def message(text: str) -> None:
    """Print a line on stderr."""
    with suppress(OSError, ValueError):
        print(printable(text), file=sys.stderr, flush=True)


def complain(text: str) -> None:
    """Print an error on stderr, with the traceback of what is being handled under ``--debug``."""
    show_traceback()
    message(f"srspace: {text}")


def show_traceback() -> None:
    """Under ``--debug``, print the traceback of what is being handled."""
    if debug and sys.exc_info()[0] is not None:
        traceback.print_exc()


def unexpected(error: Exception) -> str:
    """A sentence about an error that has no class of its own."""
    detail = " ".join(str(error).split()).rstrip(".")
    if isinstance(error, MemoryError) or re.search(r"out of memory|not enough memory|can't allocate", detail):
        return "there is not enough memory; try a smaller --tile."
    return f"unexpected {type(error).__name__}: {detail[:200]} (run again with --debug)."


def print_json(record: dict[str, Any], *, error: bool = False) -> None:
    """One JSON object on a line of stdout, or of stderr.

    Bytes of file names that are not UTF-8 are written as lone surrogates, escaped: ``os.fsencode`` gives them back.

    Raises:
        OutputError: stdout is closed or full.
    """
    stream = sys.stderr if error else sys.stdout
    encoding = (getattr(stream, "encoding", None) or "ascii").lower().replace("-", "")
    line = json.dumps(record, ensure_ascii=encoding != "utf8")
    line = re.sub(r"[\ud800-\udfff\x7f-\x9f\u2028\u2029]", lambda c: f"\\u{ord(c[0]):04x}", line)
    with _writing_stdout():
        print(line, file=stream, flush=True)


def write_stdout(data: bytes) -> None:
    """Write a picture to standard output.

    Raises:
        OutputError: it is closed or full.
    """
    with _writing_stdout():
        if sys.stdout is None:
            raise OSError("it is closed")
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()


def stdin_bytes() -> BinaryIO:
    """Standard input as a stream of bytes.

    Raises:
        ImageError: it is closed, or a terminal.
    """
    if sys.stdin is None:
        raise ImageError("standard input is closed.")
    if sys.stdin.isatty():
        raise ImageError("standard input is a terminal; redirect a picture into it.")
    return sys.stdin.buffer


def console() -> Console:
    """A console on stderr."""
    return Console(stderr=True, highlight=False, soft_wrap=True, markup=False, emoji=False)


@contextmanager
def progress_bar(total: int, *, quiet: bool) -> Iterator[tuple[Callable[[str], None], Callable[[float], None]]]:
    """A bar over ``total`` pictures, on stderr and only when that is a terminal.

    Yields two functions: one starts the next picture by name, one sets the share of it that is done.
    """
    with _bar(quiet=quiet) as bar:
        task = bar.add_task("", total=total)
        started = 0

        def start(name: str) -> None:
            nonlocal started
            started += 1
            bar.update(task, description=printable(name), completed=started - 1)

        yield start, lambda share: bar.update(task, completed=started - 1 + share)


@contextmanager
def named_progress(*, quiet: bool) -> Iterator[Callable[[str, float], None]]:
    """A bar on stderr over one long piece of work, with what is being done and the share done.

    Where stderr is no terminal, a line is written whenever the text before the first colon changes.
    """
    last = ""
    with _bar(quiet=quiet) as bar:
        task = bar.add_task("", total=1.0)

        def report(text: str, share: float) -> None:
            nonlocal last
            bar.update(task, description=printable(text), completed=share)
            what = text.split(":")[0]
            if bar.disable and not quiet and what != last:
                message(f"{what} ({100 * share:.0f} % done before)" if share else what)
            last = what

        yield report


def _bar(*, quiet: bool) -> Progress:
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    screen = console()
    text = TextColumn("{task.description}", markup=False)
    hidden = quiet or not screen.is_terminal
    return Progress(
        text, BarColumn(), TimeElapsedColumn(), TimeRemainingColumn(),
        console=screen, disable=hidden, transient=True, redirect_stdout=False,
    )  # fmt: skip


@contextmanager
def _writing_stdout() -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:
        abandon_stdout()
        closed = isinstance(error, BrokenPipeError)
        detail = "it was closed" if closed else getattr(error, "strerror", None) or str(error)
        raise OutputError(f"standard output cannot be written: {detail}.") from error


def abandon_stdout() -> None:
    """Send what is still buffered nowhere, so that the interpreter does not fail on it when it ends."""
    with suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _escaped(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    return character.encode("unicode_escape").decode()
