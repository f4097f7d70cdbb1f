"""Models of other projects: any file that spandrel knows, run in tiles like ours."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from srspace.checkpoints import read_tensors
from srspace.errors import CheckpointError, MissingExtraError, UsageError
from srspace.metrics._torchvision import ensure_torchvision
from srspace.models import RRDBFeatures

BYTES_PER_PIXEL = 40_000
"""Memory that an LR pixel takes in a network of 64 channels at four times the resolution."""


class ExternalModel:
    """A model of another project at work, in the form that a sampler takes (:class:`srspace.models.CandidateModel`).

    It draws no candidates: what it makes of a picture stands in the place of an encoder's own super-resolution.

    Args:
        descriptor: spandrel's; it is left as it is.
        dtype: of its computations, if it supports that; else float32.
        device: where to compute.

    Attributes:
        scale: the upscaling factor; 1 of a model that restores.
        tiled: whether it can be given a part of a picture without any difference.
        architecture: its name.
    """

    def __init__(self, descriptor: Any, dtype: torch.dtype, device: torch.device) -> None:
        supported = {torch.bfloat16: descriptor.supports_bfloat16, torch.float16: descriptor.supports_half}
        self.dtype = dtype if supported.get(dtype, True) else torch.float32
        self.device = device
        self.scale, self.architecture = int(descriptor.scale), str(descriptor.architecture.name)
        self.tiled = descriptor.tiling.name == "SUPPORTED"
        self._model = copy.deepcopy(descriptor).to(device, self.dtype).eval()

    @torch.no_grad()
    def __call__(self, lr: Tensor) -> Tensor:
        """``(1, 3, h, w)`` in [0, 1] to ``(1, 3, scale * h, scale * w)`` float32 in [0, 1]."""
        output: Tensor = self._model(lr.to(self.device, self.dtype))
        return output.float()

    def features(self, lr: Tensor) -> RRDBFeatures:
        """The input itself."""
        return RRDBFeatures(lr, lr, (lr,))

    def regression(self, features: RRDBFeatures) -> Tensor:
        """The model's output, ``(B, 3, H, W)``."""
        return torch.cat([self(image[None]) for image in features.last])

    def latent_shapes(self, height: int, width: int) -> list[tuple[int, int, int]]:
        """None: there is nothing to draw."""
        return []

    def conditions(self, features: RRDBFeatures, *, once: bool = False) -> Any:
        """There are none."""
        raise ValueError("a model of another project draws no candidates")

    def select(self, conditions: Any, index: Tensor) -> Any:
        """There are none."""
        raise ValueError("a model of another project draws no candidates")

    def decode(self, latents: Sequence[Tensor], conditions: Any) -> Tensor:
        """There is nothing to decode."""
        raise ValueError("a model of another project draws no candidates")

    def bytes_per_pixel(self) -> tuple[int, int, int]:
        """See :class:`srspace.models.CandidateModel`; one factor for all networks, on the safe side."""
        return 0, BYTES_PER_PIXEL * max(1, self.scale**2 // 16), 0


def load_descriptor(path: Path) -> Any:
    """A model file of another project (ESRGAN, Real-ESRGAN, SwinIR, ...), as spandrel describes it, on the CPU.

    Nothing in the file is executed: it is read as weights alone, whatever its suffix.

    Args:
        path: a ``.pth``, ``.pt``, ``.ckpt`` or ``.safetensors`` file.

    Raises:
        UsageError: the file is missing, spandrel is not installed, or the model is not one from three channels to
            three.
        CheckpointError: the file is no model that spandrel knows.
    """
    if not path.is_file():
        raise UsageError(f"{path} does not exist.")
    ensure_torchvision()
    try:
        import spandrel
    except ImportError as error:
        raise MissingExtraError("a model of another project", "spandrel", "compare") from error
    state = read_tensors(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = spandrel.ModelLoader().load_from_state_dict(spandrel.canonicalize_state_dict(state))
    except Exception as error:  # an unknown file fails in detection or when weights are loaded
        raise CheckpointError(f"{path} is not a model that spandrel knows ({_brief(error)}).") from error
    if not isinstance(model, spandrel.ImageModelDescriptor):
        raise UsageError(f"{path} is a model for {model.purpose.lower()}, not for super-resolution.")
    if (model.input_channels, model.output_channels) != (3, 3):
        raise UsageError(f"{path} makes {model.output_channels} channels of {model.input_channels}; 3 are needed.")
    return model


def _brief(error: Exception) -> str:
    text = " ".join(str(error).split()).rstrip(".")
    return text[:100] or type(error).__name__
