from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def photograph() -> Callable[[tuple[int, int]], Image.Image]:
    """Makes smooth random colours of a size (width, height)."""

    def make(size: tuple[int, int]) -> Image.Image:
        coarse = np.random.default_rng(size[0]).integers(0, 255, (8, 8, 3), np.uint8)
        return Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)

    return make
