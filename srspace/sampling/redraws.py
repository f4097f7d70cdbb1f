"""Candidates that are replaced because the flow's inverse exploded, step by step down one ladder."""

from __future__ import annotations

from dataclasses import dataclass

from srspace.config import SamplingConfig
from srspace.sampling.defects import LADDER
from srspace.sampling.latents import Draw

MENDED = len(LADDER)
"""The stage at which a candidate's damaged regions are replaced with the encoder's output."""

REPLACED = MENDED + 1
"""The last stage: the whole candidate is the encoder's output."""


@dataclass(frozen=True)
class Redraw:
    """A candidate that was drawn again because the flow's inverse had exploded.

    Attributes:
        index: which candidate.
        temperature: the temperature that gave a usable one.
        attempts: how many draws were thrown away.
        reason: what was wrong with the first, and what was done beside drawing again.
    """

    index: int
    temperature: float
    attempts: int
    reason: str


class Redraws:
    """How far down the ladder each candidate of an image is, or of all frames of an animation.

    A candidate's stage counts what was tried before: 0 is its first draw, the next ones are redraws at the lower
    temperatures of :data:`LADDER`, then come :data:`MENDED` and :data:`REPLACED`.

    Args:
        temperature: of the first draws.
        antithetic: whether candidate 2k + 1 is the mirror image of candidate 2k.
    """

    def __init__(self, temperature: float, *, antithetic: bool) -> None:
        self.temperature, self.antithetic = temperature, antithetic
        self._stages: dict[int, int] = {}
        self._reasons: dict[int, str] = {}

    @classmethod
    def of(cls, sampling: SamplingConfig) -> Redraws:
        """Nothing replaced yet; how ``sampling`` draws."""
        return cls(sampling.temperature, antithetic=sampling.latents == "antithetic")

    def stage(self, index: int) -> int:
        """How often a candidate has been replaced."""
        return self._stages.get(index, 0)

    def stages(self) -> dict[int, int]:
        """The stages of all candidates that were replaced."""
        return dict(self._stages)

    def draw(self, index: int) -> Draw:
        """The draw that belongs to a candidate's stage."""
        attempt = min(self.stage(index), len(LADDER) - 1)
        temperature = self.temperature * LADDER[attempt]
        if self.antithetic:
            return Draw(index - index % 2, temperature, attempt, mirrored=index % 2 == 1)
        return Draw(index, temperature, attempt)

    def go_on(self, index: int, reason: str) -> None:
        """Replace a candidate, which is broken for this reason."""
        self._reasons.setdefault(index, reason)
        self._stages[index] = self.stage(index) + 1

    def copy(self) -> Redraws:
        """The same, to go on with apart."""
        twin = Redraws(self.temperature, antithetic=self.antithetic)
        twin.take(self)
        return twin

    def take(self, copy: Redraws) -> bool:
        """Know what a copy knows; returns whether it has replaced any candidate since."""
        replaced = copy._stages != self._stages
        self._stages, self._reasons = dict(copy._stages), dict(copy._reasons)
        return replaced

    def reports(self) -> list[Redraw]:
        """The candidates replaced so far, by index."""
        return [self._report(index, stage) for index, stage in sorted(self._stages.items())]

    def _report(self, index: int, stage: int) -> Redraw:
        reason = self._reasons[index]
        if stage == MENDED:
            reason += "; its damaged regions were replaced with the encoder's output"
        elif stage == REPLACED:
            reason += "; it was replaced with the encoder's output"
        draw = self.draw(index)
        return Redraw(index, draw.temperature, draw.attempt, reason)
