"""Work that several threads do side by side, and that is taken as if one had done it piece by piece."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from itertools import cycle, islice
from threading import Event
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


@contextmanager
def in_order(
    workers: Sequence[Callable[[Item], Result]], items: Iterable[Item], over: Event | None = None
) -> Iterator[Iterator[Result]]:
    """What workers make of items, in the order of the items.

    The workers take turns, each in a thread. A worker gets another item once its last result was taken and the next one
    is asked for, so that no more results wait than there are workers. A single worker works in the caller's thread.

    >>> with in_order([str, repr], "abc") as results:
    ...     list(results)
    ['a', "'b'", 'c']

    Args:
        workers: one is not called again before it has returned.
        items: the next one is asked for when a worker is free.
        over: set when nothing more will be taken, before the threads are waited for; a worker that looks at it may
            raise what it likes.
    """
    if len(workers) == 1:
        yield map(workers[0], items)
        return
    left = iter(items)
    waiting: deque[Future[Result]] = deque()

    def results() -> Iterator[Result]:
        waiting.extend(threads.submit(worker, item) for worker, item in zip(workers, left, strict=False))
        for worker in cycle(workers):
            if not waiting:
                return
            yield waiting.popleft().result()
            waiting.extend(threads.submit(worker, item) for item in islice(left, 1))

    with ThreadPoolExecutor(len(workers), "srspace-side-by-side") as threads:
        try:
            yield results()
        finally:
            if over is not None:
                over.set()
            wait(waiting)
            waiting.clear()  # their errors hold tensors
