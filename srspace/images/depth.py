"""Bit depth: numbers from 0 to 1, and the whole numbers that stand for them in files."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def quantized(samples: NDArray[np.float32], depth: int) -> NDArray[Any]:
    """Numbers from 0 to 1 as whole numbers of ``depth`` bits, rounded: uint8 up to 8 bits, else uint16."""
    scaled = np.floor(samples.clip(0, 1) * (2**depth - 1) + 0.5)
    return np.asarray(scaled, np.uint16 if depth > 8 else np.uint8)
