"""Other people's models as rows of a benchmark."""

from __future__ import annotations

import math
from pathlib import Path

import torch
from torch import Tensor

from srspace import external
from srspace.devices import available_memory
from srspace.errors import UsageError
from srspace.sampling import MARGIN, plan_tiles

_LARGEST_TILE = 448


class ExternalModel:
    """A model file of another project, run in tiles, without anything else of ours.

    Args:
        path: see :func:`srspace.external.load_descriptor`.
        scale: the factor that it must upscale by.
        device: where to run.

    Raises:
        UsageError: the file is missing, spandrel is not installed, or the model has another scale or other channels.
        CheckpointError: the file is no model that spandrel knows.
    """

    def __init__(self, path: Path, *, scale: int, device: torch.device) -> None:
        self._model = external.ExternalModel(external.load_descriptor(path), torch.float32, device)
        if self._model.scale != scale:
            raise UsageError(f"{path} upscales {self._model.scale}x; {scale}x is needed.")
        self.scale, self.device, self.architecture = scale, device, self._model.architecture

    @torch.no_grad()
    def upscale(self, lr: Tensor, tile: int | None = None) -> Tensor:
        """Upscale one image.

        Args:
            lr: ``(3, h, w)`` in [0, 1].
            tile: side of a tile in LR pixels (None: from the memory that is there; 0: never tile). Models that need
                the whole image are never tiled.

        Returns:
            ``(3, scale * h, scale * w)`` float32 in [0, 1] on the CPU.
        """
        height, width = lr.shape[1:]
        side = _automatic_tile(height, width, self.device) if tile is None else tile
        out = torch.empty(3, height * self.scale, width * self.scale)
        for part in plan_tiles(height, width, side if self._model.tiled else 0):
            part.put(self._model(part.cut(lr)[None])[0], out, self.scale)
        return out.clamp_(0, 1)


def _automatic_tile(height: int, width: int, device: torch.device) -> int:
    """Side of the largest tile that half of the free memory holds."""
    side = int(math.sqrt(available_memory(device) / 2 / external.BYTES_PER_PIXEL)) - 2 * MARGIN
    side = max(16, min(_LARGEST_TILE, side))
    return 0 if max(height, width) <= side else side
