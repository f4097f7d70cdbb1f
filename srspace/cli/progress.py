"""Progress of one long piece of work whose steps have names."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from srspace.cli.output import console


@contextmanager
def named_progress(*, quiet: bool) -> Iterator[Callable[[str, float], None]]:
    """A bar on stderr that shows what is being done and the share done.

    Where stderr is no terminal, a line is written whenever the text before the first colon changes.
    """
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    screen = console()
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    shown = not quiet and screen.is_terminal
    last = ""
    with Progress(*columns, console=screen, disable=not shown, transient=True) as bar:
        task = bar.add_task("", total=1.0)

        def report(text: str, share: float) -> None:
            nonlocal last
            bar.update(task, description=text, completed=share)
            what = text.split(":")[0]
            if not shown and not quiet and what != last:
                print(f"{what} ({100 * share:.0f} % done before)" if share else what, file=sys.stderr, flush=True)
            last = what

        yield report
