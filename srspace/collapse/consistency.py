"""Agreement with the input, by iterative back-projection.

Irani and Peleg: "Improving resolution by image registration", 1991.

What the reduced result lacks of the input is enlarged and added, until MATLAB's bicubic reduction of the result is the
input. That only makes sense where the input came about by such a reduction: of an input with noise or compression the
result would take those up again.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from srspace.devices import out_of_memory
from srspace.metrics.consistency import BEST
from srspace.modes import Sink, SinkMaker, TileInputs
from srspace.resize import enlarged, reduced

STEPS = 12
"""Back-projections: after so many, the largest difference is below half an 8-bit level where the range allows it."""

_BAND = 256  # LR rows
_SEEN = 4  # LR rows around a band that its reduction sees


def projected(image: Tensor, lr: Tensor, steps: int = STEPS) -> Tensor:
    """An image made to agree with its input.

    Args:
        image: ``(3, scale * h, scale * w)`` in [0, 1].
        lr: ``(3, h, w)`` in [0, 1], on the same device.
        steps: back-projections; each halves the difference about twice.

    Returns:
        The same shape, in [0, 1]. Values at the end of the range may keep a difference.
    """
    scale = image.shape[1] // lr.shape[1]
    for _ in range(steps):
        image = (image + enlarged(lr - reduced(image, scale), scale)).clamp(0, 1)
    return image


def consistent(maker: SinkMaker) -> SinkMaker:
    """What makes the same sinks, whose results then agree with the input."""
    return SinkMaker(
        maker.count,
        lambda inputs: _Consistent(maker.make(inputs), inputs),
        stacked=maker.stacked,
        pictures=maker.pictures,
    )


def agreement(image: Tensor, lr: Tensor, device: torch.device) -> float:
    """LR-PSNR of a result: how well its bicubic reduction agrees with the input, before it is rounded for a file.

    Args:
        image: ``(3, scale * h, scale * w)`` in [0, 1] on the CPU, of any size.
        lr: ``(3, h, w)`` in [0, 1].
        device: where it is computed, in bands; on the CPU where its memory runs out.

    Returns:
        dB, of RGB, at most :data:`~srspace.metrics.consistency.BEST`.
    """
    try:
        return agreements(image[None], lr[None], device).item()
    except RuntimeError as error:
        if device.type == "cpu" or not out_of_memory(error):
            raise
    return agreements(image[None], lr[None], torch.device("cpu")).item()


def agreements(images: Tensor, lrs: Tensor, device: torch.device | None = None) -> Tensor:
    """:func:`agreement` of several results, without waiting for the device.

    Args:
        images: ``(B, 3, scale * h, scale * w)`` in [0, 1].
        lrs: ``(B, 3, h, w)`` in [0, 1].
        device: where it is computed, in bands (None: where they are).

    Returns:
        ``(B,)`` float64, in dB.
    """
    device = device or images.device
    scale, height = images.shape[2] // lrs.shape[2], lrs.shape[2]
    total = torch.zeros(len(images), dtype=torch.float64, device=device)
    for top in range(0, height, _BAND):
        bottom = min(top + _BAND, height)
        first, last = max(top - _SEEN, 0), min(bottom + _SEEN, height)
        large = images[:, :, scale * first : scale * last].to(device)
        small = reduced(large.flatten(0, 1), scale)[:, top - first : bottom - first].unflatten(0, large.shape[:2])
        total += (small - lrs[:, :, top:bottom].to(device)).double().square().sum((1, 2, 3))
    return (-10 * (total / lrs[0].numel()).log10()).clamp(max=BEST)


class _Consistent:
    def __init__(self, sink: Sink, inputs: TileInputs) -> None:
        self.sink, self.lr = sink, inputs.lr

    def add(self, indices: Sequence[int], images: Tensor) -> None:
        self.sink.add(indices, images)

    def result(self) -> Tensor:
        return projected(self.sink.result(), self.lr)
