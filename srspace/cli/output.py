"""What commands print: progress and messages on stderr, results on stdout."""

from __future__ import annotations

import json
import re
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from srspace.streams import writing_standard_output

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

    from srspace.batch import Progress

debug = False
"""Whether tracebacks are shown; set by :func:`srspace.cli.main.main`."""


def printable(text: str) -> str:
    """``text`` on one line: control characters and bytes that are not UTF-8, as file names may hold, are escaped."""
    return "".join(c if c.isprintable() else _escaped(c) for c in text)


def message(text: str) -> None:
    """Print a line on stderr."""
    with suppress(OSError, ValueError):
        print(printable(text), file=sys.stderr, flush=True)


def complain(text: str, error: BaseException) -> None:
    """Print what is wrong on stderr, with the traceback of ``error`` under ``--debug``."""
    show_traceback(error)
    message(f"srspace: {text}")


def show_traceback(error: BaseException) -> None:
    """Under ``--debug``, print the traceback of ``error``."""
    if debug:
        traceback.print_exception(error)


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
    with writing_standard_output():
        print(line, file=stream, flush=True)


def console() -> Console:
    """A console on stderr."""
    return Console(stderr=True, highlight=False, soft_wrap=True, markup=False, emoji=False)


@contextmanager
def batch_progress(*, quiet: bool) -> Iterator[Callable[[Progress], None]]:
    """A bar over the pictures of a run, on stderr and only when that is a terminal."""
    furthest = 0.0
    with _bar(quiet=quiet) as bar:
        task = bar.add_task("", total=None)

        def report(progress: Progress) -> None:
            nonlocal furthest
            furthest = max(furthest, progress.index + progress.share)  # they come in any order
            name = printable(Path(progress.name).name)
            if progress.total > 1:
                name = f"{int(furthest)}/{progress.total} {name}"
            bar.update(task, description=name, total=progress.total, completed=furthest)

        yield report


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


def _bar(*, quiet: bool) -> Bar:
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    screen = console()
    text = TextColumn("{task.description}", markup=False)
    hidden = quiet or not screen.is_terminal
    return Progress(
        text, BarColumn(), TimeElapsedColumn(), TimeRemainingColumn(),
        console=screen, disable=hidden, transient=True, redirect_stdout=False,
    )  # fmt: skip


def _escaped(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    return character.encode("unicode_escape").decode()
