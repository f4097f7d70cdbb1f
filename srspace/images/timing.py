"""When frames are shown."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True)
class Timing:
    """When frames are shown.

    Attributes:
        durations: of the frames, in seconds.
        plays: how often all of them are shown; 0: for ever.
    """

    durations: tuple[Fraction, ...]
    plays: int = 0
