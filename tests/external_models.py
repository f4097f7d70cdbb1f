"""Files of tiny models of other projects, with random weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from srspace.metrics._torchvision import ensure_torchvision

ensure_torchvision()


def write_esrgan(path: Path, *, plus: bool = False, scale: int = 4, blocks: int = 1) -> Path:
    from spandrel.architectures.ESRGAN import ESRGAN

    torch.manual_seed(0)
    return _written(ESRGAN(num_filters=8, num_blocks=blocks, scale=scale, plus=plus), path)


def write_compact(path: Path, *, scale: int = 2) -> Path:
    """The architecture of Real-ESRGAN's small models; with a scale of 1, it restores."""
    from spandrel.architectures.Compact import Compact

    torch.manual_seed(0)
    return _written(Compact(num_feat=8, num_conv=1, upscale=scale), path)


def _written(network: nn.Module, path: Path) -> Path:
    state: dict[str, Any] = network.state_dict()
    if path.suffix == ".safetensors":
        from safetensors.torch import save_file

        save_file({key: value.contiguous() for key, value in state.items()}, path)
    else:
        torch.save(state, path)
    return path
