"""How an image is divided into tiles, and its candidates into chunks, so that the work fits into memory."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from srspace.config import SMALLEST_TILE, SamplingConfig
from srspace.devices import available_memory, used_memory
from srspace.errors import MemoryLimitError
from srspace.models.inference import CandidateModel
from srspace.modes import SinkMaker
from srspace.sampling.edges import STRIP
from srspace.sampling.tiles import MARGIN, Tile, plan_tiles

_LARGEST_TILE = 1024
_PIXELS_AT_A_TIME = {"cuda": 300_000, "cpu": 4_096}
_SMALLEST_TILE_BYTES = 160 * 2**20
_WORKSPACE = 96 * 2**20
_FILLED = 0.8  # the rest is lost between the allocator's blocks


@dataclass(frozen=True)
class Plan:
    """How an image is divided.

    Attributes:
        tiles: the tiles, in LR pixels.
        chunk: candidates of each image decoded at a time.
        images: images of the same size at a time.
    """

    tiles: list[Tile]
    chunk: int
    images: int = 1

    @classmethod
    def make(
        cls,
        model: CandidateModel,
        height: int,
        width: int,
        sampling: SamplingConfig,
        makers: Sequence[SinkMaker],
        images: int = 1,
    ) -> Plan:
        """Plan an image, or several of the same size.

        Images are only taken together where one alone leaves the device idle.

        Args:
            model: the model that draws the candidates.
            height: of the LR image.
            width: likewise.
            sampling: the user's tile, batch size and memory limit.
            makers: the sinks that the candidates of an image are to fill.
            images: how many there are.

        Raises:
            MemoryLimitError: the memory limit does not even hold the result.
        """
        count = max(maker.count for maker in makers)
        conditions, transient, candidate = model.bytes_per_pixel()
        image = 4 * 3 * model.scale**2
        kept = conditions + image * sum(maker.count + 1 if maker.stacked else 2 for maker in makers)
        candidate += 3 * image
        result = images * height * width * (image * sum(maker.pictures for maker in makers) + 12)
        budget = _budget(model.device, sampling.max_memory, result)
        wanted = _PIXELS_AT_A_TIME.get(model.device.type, 65_536)

        def chunk(pixels: int, together: int) -> int:
            # Candidates of several images have copies of their conditions.
            room = int((budget / (together * pixels) - kept) / (candidate + (conditions if together > 1 else 0)))
            most = max(1, (sampling.batch_size or max(1, round(wanted / pixels))) // together)
            return max(1, min(count, most, room))

        side = sampling.tile
        if side is None:
            pixels = min(budget / (kept + max(transient, candidate)), _LARGEST_TILE**2)
            side = 0 if height * width <= pixels else max(SMALLEST_TILE, int(math.sqrt(pixels)) - 2 * MARGIN)
        tiles = plan_tiles(height, width, side)
        together = 1
        if images > 1 and len(tiles) == 1:
            pixels = (height + 2 * STRIP) * (width + 2 * STRIP)
            room = int(budget / (pixels * (kept + max(transient, candidate))))
            together = max(1, min(images, sampling.batch_size or wanted // pixels, room))
        return cls(tiles, chunk(max(tile.pixels for tile in tiles), together), together)

    def smaller(self) -> Plan | None:
        """A plan for the same images that needs about half the memory; None where that is not possible."""
        if self.images > 1:
            return replace(self, images=self.images // 2)
        height, width = self.tiles[-1].rows.stop, self.tiles[-1].columns.stop
        longest = max(part.stop - part.start for tile in self.tiles for part in (tile.rows, tile.columns))
        side = max(SMALLEST_TILE, int(0.7 * longest))
        if self.chunk == 1 and longest <= SMALLEST_TILE:
            return None
        return Plan(plan_tiles(height, width, side), max(1, self.chunk // 2))


def _budget(device: torch.device, limit: int | None, result: int) -> float:
    """Bytes that a tile may take.

    Args:
        device: where it is computed.
        limit: bytes that the process may take there.
        result: bytes that the whole pictures take in the computer's memory.
    """
    if limit is None:
        return available_memory(device) / 2
    budget = limit - used_memory(device) - (result if device.type == "cpu" else 0) - _WORKSPACE
    if budget < _SMALLEST_TILE_BYTES:
        raise MemoryLimitError(limit, int(limit - budget + _SMALLEST_TILE_BYTES))
    return min(_FILLED * budget, available_memory(device))
