"""What processes tell each other of pictures."""

from __future__ import annotations

import pickle
from dataclasses import dataclass, replace
from typing import Any

from srspace.batch.outcome import Failed
from srspace.batch.plan import PartOfPlan
from srspace.batch.records import Recorded
from srspace.batch.settings import BatchSettings

STOP = b"s"
"""Asks a worker to end soon."""


@dataclass(frozen=True)
class Task:
    """What a worker is to do.

    Attributes:
        settings: of the run, with one device.
        part: of the run's plan.
        recorded: what records tell of earlier results; None without any.
    """

    settings: BatchSettings
    part: PartOfPlan
    recorded: Recorded | None


def pickled(made: list[Any]) -> bytes:
    """Outcomes, as bytes."""
    try:
        return pickle.dumps(made)
    except Exception:  # an error of some library that holds what cannot be sent
        return pickle.dumps([_plain(one) for one in made])


def _plain(one: Any) -> Any:
    return replace(one, error=RuntimeError(repr(one.error))) if isinstance(one, Failed) else one
