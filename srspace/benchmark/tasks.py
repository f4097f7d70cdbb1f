"""What is left to measure: rows on images that have no record yet, or one without all the columns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

from srspace.benchmark.records import Record
from srspace.benchmark.rows import Row


@dataclass(frozen=True)
class Task:
    """A row to be measured on an image.

    Attributes:
        row: the row.
        key: fingerprint of what its scores depend on.
        identity: what that is.
        missing: keys of the columns that no record has.
    """

    row: Row
    key: str
    identity: dict[str, Any]
    missing: frozenset[str]


def open_tasks(
    rows: Iterable[Row],
    identify: Callable[[Row], tuple[str, dict[str, Any]]],
    wanted: Callable[[Row], set[str]],
    known: Mapping[str, Record],
) -> list[Task]:
    """The tasks of one image.

    Args:
        rows: all rows.
        identify: gives a row's fingerprint on the image, and what it was made of.
        wanted: gives the keys of the columns that are defined for a row.
        known: records by fingerprint.
    """
    tasks = []
    for row in rows:
        key, identity = identify(row)
        missing = wanted(row) - set(known[key].values) if key in known else wanted(row)
        if key not in known or missing:
            tasks.append(Task(row, key, identity, frozenset(missing)))
    return tasks


def possible(tasks: Iterable[Task], available: set[str], known: Mapping[str, Record]) -> list[Task]:
    """Tasks cut down to the columns that can be computed here; those that would add nothing are dropped."""
    cut = [replace(task, missing=task.missing & available) for task in tasks]
    return [task for task in cut if task.missing or task.key not in known]


def sharing(tasks: Iterable[Task]) -> list[list[Task]]:
    """The tasks that need candidates, those together that can share them."""
    sampled = sorted((task for task in tasks if task.row.sampled), key=_drawn_as)
    return [list(group) for _, group in groupby(sampled, key=_drawn_as)]


def units(tasks: list[Task]) -> int:
    """Work in candidates; a row without any counts as one."""
    drawn = sum(max(task.row.samples for task in group) for group in sharing(tasks))
    return drawn + sum(1 for task in tasks if not task.row.sampled)


def _drawn_as(task: Task) -> tuple[float, str]:
    return task.row.temperature or 0.0, task.row.latents
