"""What is decided of a picture once it is read: the weights that it is upscaled with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from srspace.assessment import choose
from srspace.batch.outcome import Made
from srspace.images import Picture

Decision = Callable[[Picture], Made]
"""From a picture to what its result is made with. It can be pickled, for other processes."""


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
    """

    made: Made
    families: Mapping[str, str | None]

    def __call__(self, picture: Picture) -> Made:
        choice = choose(picture, self.families)
        return replace(self.made, weights=choice.weights, fusion=choice.fusion, assessment=choice.assessment)
