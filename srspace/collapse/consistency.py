"""Agreement with the input, by iterative back-projection.

Irani and Peleg: "Improving resolution by image registration", 1991.

What the reduced result lacks of the input is enlarged and added, until MATLAB's bicubic reduction of the result is the
input. That only makes sense where the input came about by such a reduction: of an input with noise or compression the
result would take those up again.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from srspace.modes import Sink, SinkMaker, TileInputs
from srspace.resize import enlarged, reduced

STEPS = 12
"""Back-projections: after so many, the largest difference is below half an 8-bit level where the range allows it."""


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


class _Consistent:
    def __init__(self, sink: Sink, inputs: TileInputs) -> None:
        self.sink, self.lr = sink, inputs.lr

    def add(self, indices: Sequence[int], images: Tensor) -> None:
        self.sink.add(indices, images)

    def result(self) -> Tensor:
        return projected(self.sink.result(), self.lr)
