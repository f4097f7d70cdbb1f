"""Filtering by per-image frequency responses, at one cost for every size of kernel.

The transforms are products with constant matrices. Patches are small, so that this is faster than a convolution with
a large kernel per image, and unlike FFT plans it can be captured in a CUDA graph without further ado.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

_MARGIN = 16  # pixels mirrored at each edge, so that opposite edges do not see each other


@dataclass(frozen=True)
class Spectrum:
    """The frequencies of images of one size, and the way there and back.

    Attributes:
        vertical: ``(N, 1)``, cycles per pixel, from -1/2 to 1/2.
        horizontal: ``(1, M)``, cycles per pixel, from 0 to 1/2: images are real, the other half mirrors this one.
    """

    vertical: Tensor
    horizontal: Tensor
    _rows: tuple[Tensor, Tensor]
    _columns: tuple[Tensor, Tensor]

    def filtered(self, images: Tensor, response: Tensor) -> Tensor:
        """Images with every frequency multiplied by the filter's response to it; edges are mirrored.

        Args:
            images: ``(B, C, H, W)``.
            response: ``(B, 1 or C, N, M)``, real: the kernel is symmetric about its centre.
        """
        bins = response.shape[-1]
        half = torch.view_as_complex((images @ self._columns[0]).unflatten(-1, (bins, 2)))
        product = self._rows[1] @ ((self._rows[0] @ half) * response)
        return torch.view_as_real(product).flatten(-2) @ self._columns[1]


@lru_cache(maxsize=32)
def spectrum(height: int, width: int, device: torch.device) -> Spectrum:
    """The spectrum of images ``(..., height, width)`` on a device; made once, then kept there."""
    rows, back_rows, vertical = _waves(height)
    columns, back_columns, horizontal = _waves(width)
    bins = len(horizontal) // 2 + 1
    there = torch.view_as_real(columns[:bins].T.contiguous()).flatten(1)
    # Each frequency between the first and the last stands for its mirror image as well.
    back = back_columns[:, :bins] * torch.tensor((1, *[2] * (bins - 2), 1))
    back = torch.view_as_real(back.conj().resolve_conj()).flatten(1).T
    return Spectrum(
        vertical[:, None].to(device, torch.float32),
        horizontal[None, :bins].abs().to(device, torch.float32),
        (rows.to(device, torch.complex64), back_rows.to(device, torch.complex64)),
        (there.to(device, torch.float32), back.contiguous().to(device, torch.float32)),
    )


def _waves(length: int) -> tuple[Tensor, Tensor, Tensor]:
    """Transform of a mirrored signal ``(N, length)``, its inverse inside the margins, and the frequencies ``(N,)``."""
    total = length + 2 * _MARGIN + length % 2
    places = torch.arange(total) - _MARGIN
    frequencies = torch.fft.fftfreq(total, dtype=torch.float64)
    waves = torch.polar(torch.ones(1, dtype=torch.float64), -2 * torch.pi * frequencies[:, None] * places)
    cycle = places % (2 * length)
    mirror = torch.eye(length, dtype=waves.dtype)[torch.minimum(cycle, 2 * length - 1 - cycle)]
    back = waves.conj().T[_MARGIN : _MARGIN + length] / total
    return waves @ mirror, back, frequencies
