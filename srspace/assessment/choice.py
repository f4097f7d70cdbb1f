"""From what is said of a picture to the weights that it is upscaled with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from srspace.assessment.assessment import Assessment
from srspace.assessment.assessor import assess
from srspace.families import available
from srspace.images import Picture


@dataclass(frozen=True)
class Choice:
    """The weights for one picture.

    Attributes:
        weights: the family's, as the catalogue names them.
        fusion: its network for the mode, in a mode that needs one.
        assessment: what the picture's pixels say. Its family is another one than ``weights`` where that has no
            network for the mode. None where the catalogue has one family only, so that there is nothing to choose.
    """

    weights: str
    fusion: str | None
    assessment: Assessment | None


def choose(picture: Picture, families: Mapping[str, str | None]) -> Choice:
    """The weights that suit a picture, of those that can be used.

    Args:
        picture: any picture.
        families: their fusion networks by weights, as :func:`srspace.families.serving` gives them; where the one that
            suits the picture is not among them, the first is taken.

    Raises:
        WeightsError: the assessor's weights are missing or fail their checksum.
        CheckpointError: they are damaged.
    """
    if len(available()) < 2:
        (weights, fusion), *_ = families.items()
        return Choice(weights, fusion, None)
    assessment = assess(picture)
    weights = assessment.family if assessment.family in families else next(iter(families))
    return Choice(weights, families[weights], assessment)
