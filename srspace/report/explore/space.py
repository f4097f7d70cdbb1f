"""The pictures of one page, and what is known about them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from srspace.config import SamplingConfig
from srspace.report.explore.settings import Crop

BICUBIC = "bicubic"
CANDIDATE = "candidate"
ORIGINAL = "original"


@dataclass(frozen=True)
class Shown:
    """One super-resolution of the input.

    Attributes:
        mode: name of the mode that made it; or ``"bicubic"``, ``"candidate"`` or ``"original"``.
        image: ``(H, W, 3)`` uint8.
        parameter: name of the mode's parameter, where it is shown at several values.
        value: the parameter's.
        index: number of the candidate, from 0.
        help: what the mode does, in one line.
        scores: by metric; empty without an original.
    """

    mode: str
    image: NDArray[np.uint8]
    parameter: str | None = None
    value: float | None = None
    index: int | None = None
    help: str = ""
    scores: Mapping[str, float] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """What tells it from the others."""
        if self.index is not None:
            return f"{self.mode}-{self.index}"
        return self.mode if self.value is None else f"{self.mode}-{self.value:.4g}"

    @property
    def label(self) -> str:
        """What people call it."""
        if self.index is not None:
            return f"{self.mode} {self.index + 1}"
        return self.mode if self.value is None else f"{self.mode} {self.value:.2f}"


@dataclass(frozen=True)
class Space:
    """The SR space of one picture.

    Attributes:
        name: of the picture.
        lr: the input, ``(h, w, 3)`` uint8.
        scale: the upscaling factor.
        pictures: bicubic, modes, candidates, and the original where it is known.
        deviation: where candidates differ: standard deviation, ``(H, W)`` float32 of values in [0, 1].
        sampling: how the candidates were drawn.
        samples: how many.
        weights: of the flow.
        fusion: the fusion network that was named; None where none was.
        crop: which part of the picture this is; None where it is all.
        metrics: names of the metrics that scores are there of.
        lpips_net: backbone of LPIPS.
        icc_profile: the input's colour profile.
        notes: what is left out, and why.
        seconds: wall-clock time that drawing and merging took.
    """

    name: str
    lr: NDArray[np.uint8]
    scale: int
    pictures: Sequence[Shown]
    deviation: NDArray[np.float32]
    sampling: SamplingConfig
    samples: int
    weights: str
    fusion: str | None = None
    crop: Crop | None = None
    metrics: Sequence[str] = ()
    lpips_net: str = "alex"
    icc_profile: bytes | None = None
    notes: Sequence[str] = ()
    seconds: float = 0.0

    def of(self, mode: str) -> list[Shown]:
        """The pictures of one mode."""
        return [shown for shown in self.pictures if shown.mode == mode]
