"""Bit depth: numbers from 0 to 1, and the whole numbers that stand for them in files."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_STRIP = 2**20  # samples


def quantized(samples: NDArray[np.float32], depth: int) -> NDArray[Any]:
    """Numbers from 0 to 1 as whole numbers of ``depth`` bits, rounded: uint8 up to 8 bits, else uint16.

    It is done strip by strip and in place: copies of a large picture would take more memory than computing it.
    """
    out = np.empty(samples.shape, np.uint16 if depth > 8 else np.uint8)
    rows = max(1, _STRIP // max(1, samples[:1].size))
    for top in range(0, len(samples), rows):
        part = slice(top, top + rows)
        scaled = samples[part].clip(0, 1)
        scaled *= 2**depth - 1
        scaled += 0.5
        out[part] = np.floor(scaled, out=scaled)
    return out
