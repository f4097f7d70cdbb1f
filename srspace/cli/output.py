"""What commands print: progress and messages on stderr, results on stdout."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console


def print_json(record: dict[str, Any], *, error: bool = False) -> None:
    """One JSON object on a line of stdout, or of stderr."""
    print(json.dumps(record, ensure_ascii=False), file=sys.stderr if error else sys.stdout, flush=True)


def console() -> Console:
    """A console on stderr."""
    return Console(stderr=True, highlight=False, soft_wrap=True)


@contextmanager
def progress_bar(total: int, *, quiet: bool) -> Iterator[tuple[Callable[[str], None], Callable[[float], None]]]:
    """A bar over ``total`` pictures, on stderr and only when that is a terminal.

    Yields two functions: one starts the next picture by name, one sets the share of it that is done.
    """
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    screen = console()
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=screen, disable=quiet or not screen.is_terminal, transient=True) as bar:
        task = bar.add_task("", total=total)
        started = 0

        def start(name: str) -> None:
            nonlocal started
            started += 1
            bar.update(task, description=name, completed=started - 1)

        yield start, lambda share: bar.update(task, completed=started - 1 + share)
