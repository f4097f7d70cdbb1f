"""Flat parts of a picture stay flat: what texture they had, the input would show.

An LR image that is exactly the same all around a pixel leaves no room for texture there, but candidates have noise of
a few grey levels everywhere. In such places, which are common in graphics and where photographs are clipped, candidates
are replaced with the encoder's output.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

_REACH = 2
"""LR pixels all around that must have the same colour."""


def flat_parts(lr: Tensor, scale: int, device: torch.device) -> Tensor | None:
    """Where images are flat.

    Args:
        lr: ``(B, 3, h, w)`` on the CPU.
        scale: the upscaling factor.
        device: where the result is made; it is not waited for.

    Returns:
        ``(B, 1, scale * h, scale * w)`` from 0 (not) to 1 (flat), with soft edges; None where nothing is flat in any.
    """
    # numpy, for torch would wake a thread for each core, which for so little takes longer and slows others down.
    pixels = lr.numpy()
    flat = _throughout(_even(pixels, 3), 1, 2 * _REACH + 1) & _even(pixels, 2)
    if not flat.any():
        return None
    mask = torch.from_numpy(flat[:, None]).to(device, non_blocking=True).float()
    large = mask.repeat_interleave(scale, 2).repeat_interleave(scale, 3)
    return F.avg_pool2d(large, 2 * scale + 1, 1, scale, count_include_pad=False)


def _even(pixels: NDArray[np.float32], axis: int) -> NDArray[np.bool_]:
    """``(B, h, w)``: whether all pixels within reach along an axis of ``(B, 3, h, w)`` have the same colour."""
    same = np.diff(pixels, axis=axis) == 0
    return _throughout(same.all(1), axis - 1, 2 * _REACH)


def _throughout(true: NDArray[np.bool_], axis: int, count: int) -> NDArray[np.bool_]:
    """Whether ``count`` neighbours along an axis are all true, with any number of true ones beyond the edges."""
    margins = [(0, 0)] * true.ndim
    margins[axis] = (_REACH, _REACH)
    padded = np.pad(true, margins, constant_values=True)
    windows = np.lib.stride_tricks.sliding_window_view(padded, count, axis)
    return np.asarray(windows.all(-1))
