"""What a page about one picture is made with."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import Self

from srspace.config import DEFAULT_WEIGHTS, SamplingConfig
from srspace.errors import UsageError
from srspace.metrics import check_backbone, find

LARGEST = 512 * 512
"""Input pixels that a page shows: its pictures are all in a browser's memory at once."""


@dataclass(frozen=True)
class Crop:
    """A part of the input.

    Attributes:
        left: in input pixels.
        top: likewise.
        width: likewise.
        height: likewise.
    """

    left: int
    top: int
    width: int
    height: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``WIDTHxHEIGHT+LEFT+TOP``.

        >>> Crop.parse("64x48+10+20")
        Crop(left=10, top=20, width=64, height=48)

        Raises:
            UsageError: it is something else.
        """
        match = re.fullmatch(r"(\d+)x(\d+)\+(\d+)\+(\d+)", text.strip())
        if match is None or 0 in (int(match[1]), int(match[2])):
            raise UsageError(f"a part of a picture looks like 256x256+0+0 (width, height, left, top), not {text!r}.")
        width, height, left, top = map(int, match.groups())
        return cls(left, top, width, height)

    @classmethod
    def middle(cls, width: int, height: int) -> Self:
        """The middle of a picture, as large as a page may show; all of a smaller picture."""
        if width * height <= LARGEST:
            return cls(0, 0, width, height)
        across = min(width, max(math.isqrt(LARGEST), LARGEST // height))
        down = min(height, LARGEST // across)
        return cls((width - across) // 2, (height - down) // 2, across, down)

    def check(self, width: int, height: int) -> None:
        """Raise unless a picture of that size has this part, and a page can show it.

        Raises:
            UsageError: it has not.
        """
        if self.left + self.width > width or self.top + self.height > height:
            raise UsageError(f"the part {self} lies outside the picture, which is {width}x{height}.")
        if self.width * self.height > LARGEST:
            side = math.isqrt(LARGEST)
            raise UsageError(f"a page shows at most {side}x{side} input pixels, not {self.width}x{self.height}.")

    def __str__(self) -> str:
        return f"{self.width}x{self.height}+{self.left}+{self.top}"


@dataclass(frozen=True)
class ExploreSettings:
    """How the SR space of a picture is shown.

    Attributes:
        weights: of the flow; see :func:`srspace.hub.resolve_weights`. ``"auto"`` is for :func:`settled`.
        fusion: a fusion network, named likewise, in place of the catalogue's for the modes that it serves; or None.
        sampling: how candidates are drawn; without a number of samples, each mode takes as many as it usually does.
        balances: at how many values of its parameter a mode that has one is shown, from 5 to 9.
        crop: the part of the input that is shown; None: all of it, or its middle where it is too large for a page.
        metrics: taken of each picture where the original is known.
        lpips_net: backbone of LPIPS.
        device: see :func:`srspace.devices.pick_device`.
        precision: see :func:`srspace.devices.pick_precision`.
    """

    weights: str = DEFAULT_WEIGHTS
    fusion: str | None = None
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    balances: int = 6
    crop: Crop | None = None
    metrics: tuple[str, ...] = ("psnr", "ssim", "lpips", "lr-psnr")
    lpips_net: str = "alex"
    device: str = "auto"
    precision: str = "auto"

    def __post_init__(self) -> None:
        if not 5 <= self.balances <= 9:
            raise UsageError(f"the dial is shown at 5 to 9 balances, not {self.balances}.")
        check_backbone(self.lpips_net)
        for name in self.metrics:
            find(name)
