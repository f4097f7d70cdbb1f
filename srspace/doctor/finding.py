"""What a check found."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class Level(StrEnum):
    """How serious a finding is.

    A note tells what could be added, a warning what may fail elsewhere, a problem what stops srspace from working.
    """

    OK = "ok"
    NOTE = "note"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        what: what was looked at.
        level: how it is.
        text: a sentence about it.
    """

    what: str
    level: Level
    text: str

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)
