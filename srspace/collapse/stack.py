"""All candidates of a tile at once: what a median or a network merges, and what :func:`sample` hands out."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor

from srspace.config import SamplingConfig
from srspace.models import PreparedSRFlow, SRFlow
from srspace.modes import SinkMaker
from srspace.sampling import Sampler


class StackSink:
    """Keeps all candidates of a tile and merges them at the end.

    Args:
        count: how many.
        merge: from ``(N, 3, H, W)`` to ``(3, H, W)``.
    """

    def __init__(self, count: int, merge: Callable[[Tensor], Tensor]) -> None:
        self.count, self.merge = count, merge
        self._stack: Tensor | None = None

    def add(self, indices: Sequence[int], images: Tensor) -> None:
        if self._stack is None:
            self._stack = images.new_empty(self.count, *images.shape[1:])
        self._stack[indices[0] : indices[-1] + 1] = images

    def result(self) -> Tensor:
        if self._stack is None:
            raise ValueError("there is no candidate to merge")
        return self.merge(self._stack)


def sample(
    model: SRFlow | PreparedSRFlow,
    lr: Tensor,
    *,
    samples: int = 10,
    temperature: float = SamplingConfig.temperature,
    seed: int = SamplingConfig.seed,
    tile: int | None = None,
    batch_size: int | None = None,
) -> Tensor:
    """N candidates of one image.

    Candidate i is the same (to float rounding) whatever N, the tile, the batch size and the device.

    Args:
        model: a flow, as :func:`srspace.load_flow` returns it.
        lr: ``(3, h, w)`` or ``(1, 3, h, w)`` in [0, 1].
        samples: N.
        temperature: tau.
        seed: any whole number from 0.
        tile: side of a tile in LR pixels (None: from the memory that is there; 0: never tile).
        batch_size: candidates computed at a time.

    Returns:
        ``(N, 3, scale * h, scale * w)`` float32 in [0, 1] on the CPU, channels last in memory.

    Raises:
        UsageError: a setting is out of range.
    """
    config = SamplingConfig(temperature, samples, seed, tile, batch_size)
    image = lr[0] if lr.ndim == 4 and lr.shape[0] == 1 else lr
    prepared = model if isinstance(model, PreparedSRFlow) else PreparedSRFlow(model)
    whole = SinkMaker(samples, lambda inputs: StackSink(samples, lambda stack: stack), stacked=True, pictures=samples)
    return Sampler(prepared, image, config).collapse(whole)
