"""srspace: sample the space of plausible super-resolutions and collapse it where you want.

Everything public is reachable from here and loaded on first use, so that ``import srspace`` stays light.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_EXPORTS = {
    "Assessment": "srspace.assessment",
    "AutoUpscaler": "srspace.auto",
    "BatchSettings": "srspace.batch",
    "DEFAULT_WEIGHTS": "srspace.config",
    "Done": "srspace.batch",
    "Failed": "srspace.batch",
    "FlowConfig": "srspace.config",
    "FusionConfig": "srspace.config",
    "Kept": "srspace.batch",
    "LeftOut": "srspace.batch",
    "Outcome": "srspace.batch",
    "MODES": "srspace.modes",
    "Picture": "srspace.images",
    "RRDBConfig": "srspace.config",
    "SRFlow": "srspace.models",
    "SRSpaceError": "srspace.errors",
    "SamplingConfig": "srspace.config",
    "Skipped": "srspace.batch",
    "TargetSize": "srspace.sizes",
    "TrainConfig": "srspace.config",
    "Upscaler": "srspace.upscaler",
    "assess": "srspace.assessment",
    "imresize": "srspace.resize",
    "load_encoder": "srspace.checkpoints",
    "load_flow": "srspace.checkpoints",
    "load_fusion": "srspace.checkpoints",
    "read_picture": "srspace.images",
    "sample": "srspace.collapse",
    "upscale_files": "srspace.batch",
    "watch_folders": "srspace.batch",
    "write_picture": "srspace.images",
}

__all__ = ["__version__", *sorted(_EXPORTS)]

if TYPE_CHECKING:
    from srspace.assessment import Assessment, assess
    from srspace.auto import AutoUpscaler
    from srspace.batch import BatchSettings, Done, Failed, Kept, LeftOut, Outcome, Skipped, upscale_files, watch_folders
    from srspace.checkpoints import load_encoder, load_flow, load_fusion
    from srspace.collapse import sample
    from srspace.config import (
        DEFAULT_WEIGHTS,
        FlowConfig,
        FusionConfig,
        RRDBConfig,
        SamplingConfig,
        TrainConfig,
    )
    from srspace.errors import SRSpaceError
    from srspace.images import Picture, read_picture, write_picture
    from srspace.models import SRFlow
    from srspace.modes import MODES
    from srspace.resize import imresize
    from srspace.sizes import TargetSize
    from srspace.upscaler import Upscaler


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module 'srspace' has no attribute {name!r}")
    value = getattr(import_module(_EXPORTS[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
