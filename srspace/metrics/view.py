"""Images under measurement, with what several metrics derive from them computed once."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

from torch import Tensor

T = TypeVar("T")


class View:
    """One image in 8 bits, as it would be written to a file.

    Args:
        image: ``(3, H, W)`` uint8, on the device where metrics are computed.
    """

    def __init__(self, image: Tensor) -> None:
        self.uint8 = image[None]
        self._kept: dict[Hashable, Any] = {}

    @classmethod
    def of(cls, image: Tensor) -> View:
        """The view of ``(3, H, W)`` in [0, 1], rounded as :func:`to_uint8` does."""
        return cls(to_uint8(image))

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.uint8.shape[2], self.uint8.shape[3]

    @cached_property
    def rgb(self) -> Tensor:
        """``(1, 3, H, W)`` float32 in [0, 1]."""
        return self.uint8.float() / 255

    @property
    def exact(self) -> Tensor:
        """``(1, 3, H, W)`` float64 in [0, 1]."""
        return self.uint8.double() / 255

    def once(self, key: Hashable, make: Callable[[], T]) -> T:
        """What ``make`` returns, computed when it is first asked for under that key."""
        if key not in self._kept:
            self._kept[key] = make()
        return self._kept[key]  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Reference:
    """What an output is compared with.

    Attributes:
        hr: the image that it should be.
        lr: the image that it was made from.
    """

    hr: View
    lr: View


def to_uint8(image: Tensor) -> Tensor:
    """Round an image in [0, 1] to 8 bits, halves up, as it is when it is written to a file."""
    return (image.clamp(0, 1) * 255 + 0.5).floor().byte()
