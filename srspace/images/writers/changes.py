"""How a frame of an animation differs from the one before."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


class Changes:
    """Takes frame after frame, all of one size."""

    def __init__(self) -> None:
        self._before: NDArray[Any] | None = None

    def of(self, samples: NDArray[Any]) -> NDArray[np.bool_]:
        """Which pixels of a frame ``(H, W, C)`` differ from the frame before, as ``(H, W)``; all of the first."""
        before, self._before = self._before, samples
        if before is None:
            return np.ones(samples.shape[:2], np.bool_)
        return np.asarray((samples != before).any(2))
