"""Importing torchvision where its compiled operators do not match the installed torch.

PyPI's torchvision is built for CUDA; beside a CPU torch its operators fail to register and the import stops, although
its Python parts (the backbones that LPIPS uses) need none of them.
"""

from __future__ import annotations

import sys

import torch

_SCHEMAS = tuple(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor" for name in ("nms", "qnms"))
_libraries: list[torch.library.Library] = []


def ensure_torchvision() -> None:
    """Import torchvision; where its operators are missing, declare their schemas first. Cheap to call again."""
    try:
        import torchvision
    except RuntimeError as error:
        if "torchvision::" not in str(error):
            raise
        for name in [m for m in sys.modules if m.split(".")[0] == "torchvision"]:
            del sys.modules[name]
        library = torch.library.Library("torchvision", "FRAGMENT")
        for schema in _SCHEMAS:
            library.define(schema)
        _libraries.append(library)
        import torchvision  # noqa: F401
