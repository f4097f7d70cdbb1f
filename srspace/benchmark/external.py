"""Other people's models: any file that spandrel recognises, run in tiles like ours."""

from __future__ import annotations

import math
import warnings
from pathlib import Path

import torch
from torch import Tensor

from srspace.devices import available_memory
from srspace.errors import CheckpointError, MissingExtraError, UsageError
from srspace.metrics._torchvision import ensure_torchvision
from srspace.sampling import MARGIN, plan_tiles

_BYTES_PER_PIXEL = 40_000
_LARGEST_TILE = 448


class ExternalModel:
    """A model file of another project (ESRGAN, ESRGAN+, Real-ESRGAN, SwinIR, ...), loaded by spandrel.

    Args:
        path: a ``.pth``, ``.pt``, ``.ckpt`` or ``.safetensors`` file.
        scale: the factor that it must upscale by.
        device: where to run.

    Raises:
        UsageError: the file is missing, spandrel is not installed, or the model has another scale or other channels.
        CheckpointError: the file is no model that spandrel knows.
    """

    def __init__(self, path: Path, *, scale: int, device: torch.device) -> None:
        if not path.is_file():
            raise UsageError(f"{path} does not exist.")
        ensure_torchvision()
        try:
            import spandrel
        except ImportError as error:
            raise MissingExtraError("comparing with other models", "spandrel", "compare") from error
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                model = spandrel.ModelLoader(device).load_from_file(path)
        except Exception as error:  # a wrong file fails in the unpickler, in detection or when weights are loaded
            raise CheckpointError(f"{path} is not a model that spandrel can load ({_brief(error)}).") from error
        if not isinstance(model, spandrel.ImageModelDescriptor):
            raise UsageError(f"{path} is a model for {model.purpose.lower()}, not for super-resolution.")
        if (model.scale, model.input_channels, model.output_channels) != (scale, 3, 3):
            raise UsageError(
                f"{path} upscales {model.input_channels} channels {model.scale}x; 3 channels and {scale}x are needed."
            )
        self.scale, self.device = scale, device
        self.architecture = str(model.architecture.name)
        self.model = model.eval()
        self._tiled = model.tiling is spandrel.ModelTiling.SUPPORTED

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
        for part in plan_tiles(height, width, side if self._tiled else 0):
            part.put(self.model(part.cut(lr).to(self.device)[None])[0].float(), out, self.scale)
        return out.clamp_(0, 1)


def _automatic_tile(height: int, width: int, device: torch.device) -> int:
    """Side of the largest tile that half of the free memory holds, for a network of 64 channels at full resolution."""
    side = int(math.sqrt(available_memory(device) / 2 / _BYTES_PER_PIXEL)) - 2 * MARGIN
    side = max(16, min(_LARGEST_TILE, side))
    return 0 if max(height, width) <= side else side


def _brief(error: Exception) -> str:
    text = " ".join(str(error).split()).rstrip(".")
    return text[:100] or type(error).__name__
