"""Convolutions of maps whose sides were doubled by repeating pixels, without ever making the doubled map."""

from __future__ import annotations

import torch
from torch import Tensor

_CHANNELS = 64  # so many output channels at a time: their products stay in the cache


class EnlargedConvolution:
    """The 3x3 convolution, with zero padding, of a map enlarged twofold by nearest neighbour.

    Each of the nine taps is a product of a weight and an original pixel, whichever of its four copies it meets. So
    nine products per original pixel are enough for four output pixels, instead of thirty-six; the rest are additions.

    Args:
        weight: ``(out, in, 3, 3)``; copied.
        dtype: of weights, input and output.
    """

    def __init__(self, weight: Tensor, dtype: torch.dtype) -> None:
        # (in, 3 * 3 * channels) each, so that the taps of one pixel come out together
        self._parts = [
            part.detach().to(dtype, copy=True).permute(1, 2, 3, 0).flatten(1) for part in weight.split(_CHANNELS)
        ]

    def add_to(self, out: Tensor, x: Tensor) -> None:
        """Add the result to what stands in ``out``.

        Args:
            out: ``(B, out, 2 * H, 2 * W)``, channels last.
            x: ``(B, in, H, W)``.
        """
        batch, _, height, width = x.shape
        pixels = x.to(self._parts[0].dtype).permute(0, 2, 3, 1).flatten(0, 2)
        copies = out.permute(0, 2, 3, 1).unflatten(2, (width, 2)).unflatten(1, (height, 2))  # B, H, 2, W, 2, out
        begin = 0
        for weight in self._parts:
            channels = weight.shape[1] // 9
            taps = (pixels @ weight).view(batch, height, width, 3, 3, channels)
            for i, row in enumerate(_both_copies(*taps.unbind(3), dim=1)):
                for j, sums in enumerate(_both_copies(*row.unbind(3), dim=2)):
                    copies[:, :, i, :, j, begin : begin + channels].add_(sums)
            begin += channels


def convolve_enlarged(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """The same convolution once: ``(B, in, H, W)`` to ``(B, out, 2 * H, 2 * W)``, channels last."""
    shape = x.shape[0], weight.shape[0], 2 * x.shape[2], 2 * x.shape[3]
    start = x.new_zeros(shape[1]) if bias is None else bias
    out = start.view(1, -1, 1, 1).expand(shape).contiguous(memory_format=torch.channels_last)
    EnlargedConvolution(weight, x.dtype).add_to(out, x)
    return out


def _both_copies(before: Tensor, here: Tensor, after: Tensor, *, dim: int) -> tuple[Tensor, Tensor]:
    """Sums of three taps along a side, at the first and at the second copy of each pixel.

    The tap before the first copy meets the pixel before, that before the second copy the pixel itself; the tap after
    meets the pixel itself and the next one.
    """
    length = here.shape[dim]
    first, second = here + after, here + before
    first.narrow(dim, 1, length - 1).add_(before.narrow(dim, 0, length - 1))
    second.narrow(dim, 0, length - 1).add_(after.narrow(dim, 1, length - 1))
    return first, second
