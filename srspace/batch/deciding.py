"""What is decided of a picture once it is read: the weights that it is upscaled with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from srspace.assessment import choose
from srspace.batch.outcome import Made
from srspace.hub import FILES, checksum
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

    @classmethod
    def of(cls, made: Made, weights: str, fusion: str | None) -> Named:
        """Add the checksums of the weights and of the fusion network, if there is one."""
        fusion_sha256 = None if fusion is None else checksum(fusion)
        return cls(replace(made, weights_sha256=checksum(weights), fusion_sha256=fusion_sha256))

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

    @classmethod
    def of(cls, made: Made, families: Mapping[str, str | None]) -> Chosen:
        """Add the checksums."""
        return cls(made, families, checksums(families))

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


def checksums(families: Mapping[str, str | None], file: str = FILES[1]) -> dict[str, str]:
    """The checksums of weights and of their fusion networks, by name.

    Args:
        families: fusion networks by the flow's weights.
        file: which one of each folder counts.

    Raises:
        WeightsError: some of them are not there.
    """
    names = {name for pair in families.items() for name in pair if name is not None}
    return {name: checksum(name, file) for name in names}
