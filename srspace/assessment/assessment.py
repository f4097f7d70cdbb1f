"""What is said of a picture's pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Assessment:
    """Which family of weights suits a picture, told from its pixels alone.

    Attributes:
        family: the family's weights, as the catalogue names them.
        score: from 0 (clean) to 1 (damaged): how likely it is that the weights for damaged pictures give the better
            result; from 0.5 on, they are the family.
        reasons: what was found, in words; empty where nothing was.
    """

    family: str
    score: float
    reasons: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as JSON holds them."""
        return {"family": self.family, "score": self.score, "reasons": list(self.reasons)}

    @classmethod
    def from_dict(cls, values: object) -> Assessment | None:
        """What :meth:`to_dict` gave, or None for anything else."""
        match values:
            case {"family": str(family), "score": int() | float() as score, "reasons": [*reasons]}:
                return cls(family, float(score), tuple(str(reason) for reason in reasons))
        return None
