"""What is decided of a picture once it is read: the weights that it is upscaled with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from srspace.assessment import choose
from srspace.batch.outcome import Made
from srspace.images import Picture


class Decision(Protocol):
    """From a picture to what its result is made with. It can be pickled, for other processes."""

    @property
    def made(self) -> Made:
        """What is known before any picture is read."""

    def __call__(self, picture: Picture) -> Made: ...


@dataclass(frozen=True)
class Named:
    """The same weights for every picture.

    Attributes:
        made: all that there is to know.
    """

    made: Made

    def __call__(self, picture: Picture) -> Made:
        return self.made


@dataclass(frozen=True)
class Chosen:
    """For each picture the weights that suit it.

    Attributes:
        made: all but the weights.
        families: as :func:`srspace.assessment.choose` takes them.
        checksums: of their weights, by name.
    """

    made: Made
    families: Mapping[str, str | None]
    checksums: Mapping[str, str] = field(default_factory=dict)

    def __call__(self, picture: Picture) -> Made:
        choice = choose(picture, self.families)
        return replace(
            self.made,
            weights=choice.weights,
            fusion=choice.fusion,
            assessment=choice.assessment,
            weights_sha256=self.checksums.get(choice.weights),
            fusion_sha256=self.checksums.get(choice.fusion or ""),
        )
