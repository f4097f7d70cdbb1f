"""What every writer is given."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray
from PIL import Image

from srspace.images import libvips
from srspace.images.colour import Colour
from srspace.images.metadata import Metadata


@dataclass(frozen=True)
class Contents:
    """What goes into a file.

    Attributes:
        samples: ``(H, W, C)`` uint8, or uint16 for more than 8 bits: grey or RGB, then straight alpha where C is 2 or
            4.
        depth: bits of a sample.
        colour: what is told of the colours.
        metadata: what is told beside.
        options: of Pillow's encoder.
    """

    samples: NDArray[Any]
    depth: int = 8
    colour: Colour = field(default_factory=Colour)
    metadata: Metadata = field(default_factory=Metadata)
    options: dict[str, Any] = field(default_factory=dict)

    def for_pillow(self) -> Image.Image:
        """The samples as Pillow takes them."""
        return Image.fromarray(self.samples[..., 0] if self.samples.shape[2] == 1 else self.samples)

    def by_pillow(self, format: str, **told: Any) -> bytes:
        """A file by Pillow's encoder, with ``options`` and what else it is told; None tells it nothing."""
        buffer = io.BytesIO()
        more = {name: value for name, value in told.items() if value is not None}
        self.for_pillow().save(buffer, format, **self.options, **more)
        return buffer.getvalue()

    def for_libvips(self) -> Any:
        """The samples as libvips takes them, those of more than 8 bits scaled to 16."""
        samples = self.samples
        if 8 < self.depth < 16:
            samples = samples << (16 - self.depth) | samples >> (2 * self.depth - 16)
        grey = samples.shape[2] < 3
        kinds = ("grey16", "rgb16") if self.depth > 8 else ("b-w", "srgb")
        return libvips.load().Image.new_from_array(samples).copy(interpretation=kinds[0 if grey else 1])
