"""Where the candidates of an image differ: a map of their spread, and the part of the image that it is largest in."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

_PEAK = 99.9  # percentile


class Spread:
    """Gathers the standard deviation of candidates, pixel by pixel.

    >>> spread = Spread()
    >>> spread.add(np.zeros((1, 1, 3)))
    >>> spread.add(np.full((1, 1, 3), 0.5))
    >>> float(spread.deviation()[0, 0])
    0.25
    """

    def __init__(self) -> None:
        self.count = 0
        self._mean: NDArray[np.float64] | None = None
        self._squares: NDArray[np.float64] | None = None

    def add(self, image: NDArray[np.floating]) -> None:
        """Take a candidate, ``(H, W, C)`` in [0, 1]."""
        self.count += 1
        if self._mean is None or self._squares is None:
            self._mean, self._squares = image.astype(np.float64), np.zeros(image.shape)
            return
        # Welford, "Note on a method for calculating corrected sums of squares and products", Technometrics 1962.
        offset = image - self._mean
        self._mean += offset / self.count
        self._squares += offset * (image - self._mean)

    def deviation(self) -> NDArray[np.float32]:
        """``(H, W)``: the root of the variance, averaged over the channels.

        Raises:
            ValueError: there is no candidate.
        """
        if self._squares is None:
            raise ValueError("there is no candidate to measure the spread of")
        return np.asarray(np.sqrt(self._squares.mean(2) / self.count), np.float32)


def spread_of(images: Iterable[NDArray[np.floating]]) -> NDArray[np.float32]:
    """The deviation of candidates ``(H, W, C)`` in [0, 1]; see :class:`Spread`."""
    spread = Spread()
    for image in images:
        spread.add(image)
    return spread.deviation()


def peak_of(deviation: NDArray[np.floating]) -> float:
    """The deviation that the last colour of a map stands for: one that hardly any pixel exceeds, at least 1/255."""
    return max(float(np.percentile(deviation, _PEAK)), 1 / 255)


def busiest(deviation: NDArray[np.floating], side: int) -> tuple[int, int]:
    """Where the candidates differ most: top and left of the square with the largest variance in it.

    Args:
        deviation: ``(H, W)``, as :meth:`Spread.deviation` gives it.
        side: of the square, in pixels; along a shorter side of the image, it takes all of it.
    """
    height, width = (min(side, length) for length in deviation.shape)
    sums = np.pad(np.square(deviation, dtype=np.float64).cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    inside = sums[height:, width:] - sums[:-height, width:] - sums[height:, :-width] + sums[:-height, :-width]
    # Sums of equal numbers differ in their last bits; of equal squares, the first one is taken.
    top, left = np.unravel_index(int(np.argmax(np.round(inside, 9))), inside.shape)
    return int(top), int(left)
