"""How scores are taken: what is compared, what is cut off, what is rounded."""

from __future__ import annotations

from dataclasses import dataclass

from srspace.errors import UsageError
from srspace.metrics import DIVERSITY_NET
from srspace.suggestions import did_you_mean


@dataclass(frozen=True)
class Protocol:
    """Rules for the columns of a table.

    Attributes:
        name: what users type.
        y_only: PSNR and SSIM are taken on BT.601 luma instead of RGB.
        cut_border: PSNR and SSIM leave out a border as wide as the scale.
    """

    name: str
    y_only: bool
    cut_border: bool

    def border(self, scale: int) -> int:
        """Pixels cut from every side for PSNR and SSIM."""
        return scale if self.cut_border else 0

    def describe(self, scale: int, lpips_net: str) -> str:
        """The rules in words, for the foot of a table."""
        channel = "Y (BT.601, not rounded)" if self.y_only else "RGB"
        return (
            f"protocol {self.name}: outputs rounded to uint8; PSNR and SSIM (11x11 Gaussian window) on {channel}, "
            f"border cut {self.border(scale)}; LPIPS v0.1 {lpips_net} on RGB in [-1, 1], whole picture; LR-PSNR on RGB "
            f"after MATLAB bicubic; diversity as in NTIRE'21, LPIPS {DIVERSITY_NET}"
        )


PROTOCOLS = {
    "paper": Protocol("paper", y_only=False, cut_border=False),
    "y-channel": Protocol("y-channel", y_only=True, cut_border=True),
}


def find_protocol(name: str) -> Protocol:
    """The protocol called ``name``.

    Raises:
        UsageError: there is none.
    """
    if name not in PROTOCOLS:
        hint = did_you_mean(name, PROTOCOLS)
        raise UsageError(f"the protocol must be one of {', '.join(PROTOCOLS)}, not {name!r}{hint}.")
    return PROTOCOLS[name]
