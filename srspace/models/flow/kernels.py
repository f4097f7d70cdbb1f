"""Triton kernels for the two ends of a coupling's subnet on an NVIDIA GPU; the eager path needs none of them.

Between two hidden layers a candidate is 64 channels wide, at the ends it is 6 to 24. The kernels join what is narrow to
the convolution beside it, so that only the wide maps travel through memory: the first convolution is read from the
float32 state directly, and the last one ends in the coupling's and the linear map's inverse, in float32 registers.
"""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

try:
    from srspace.models.flow import triton_kernels as programs
except ImportError:  # no Triton on this platform: the eager path is used
    programs = None  # type: ignore[assignment]

_PIXELS = 128


@cache
def available(device: torch.device) -> bool:
    """Whether the kernels can run on ``device``: Triton is there, and tensor cores that take bfloat16."""
    return programs is not None and device.type == "cuda" and torch.cuda.get_device_capability(device) >= (8, 0)


def padded(channels: int) -> int:
    """The width to which the kernels pad a short channel axis: tensor cores take 16 at least."""
    return max(16, 1 << (channels - 1).bit_length())


def pack_first(weight: Tensor) -> Tensor:
    """``(hidden, kept, 3, 3)`` to ``(K, hidden)``, rows ordered (channel, dy, dx) and padded to a multiple of 64."""
    rows = weight.flatten(1).t()
    return torch.nn.functional.pad(rows, (0, 0, 0, -len(rows) % 64)).contiguous()


def pack_last(weight: Tensor) -> Tensor:
    """``(out, hidden, 3, 3)`` to ``(9, hidden, padded(out))``."""
    taps = weight.permute(2, 3, 1, 0).flatten(0, 1)
    return torch.nn.functional.pad(taps, (0, padded(weight.shape[0]) - weight.shape[0])).contiguous()


def first_layer(state: Tensor, weight: Tensor, hidden: Tensor) -> Tensor:
    """``relu(conv3x3(state[:, :kept]) + hidden)``.

    Args:
        state: ``(B, C, H, W)`` float32, contiguous.
        weight: from :func:`pack_first`; rows past the kept channels are zero.
        hidden: ``(1, hidden, H, W)``, channels last.

    Returns:
        ``(B, hidden, H, W)`` in ``hidden``'s type, channels last.
    """
    batch, channels, height, width = state.shape
    wide = hidden.shape[1]
    out = torch.empty(
        batch, wide, height, width, dtype=hidden.dtype, device=state.device, memory_format=torch.channels_last
    )
    grid = (-(-height * width // _PIXELS), batch)
    programs.first_layer[grid](
        state, weight, hidden, out, height, width,
        CHANNELS=channels, ROWS=weight.shape[0], HIDDEN=wide, PIXELS=_PIXELS, num_warps=4,
    )  # fmt: skip
    return out


def hidden_layer(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """``relu(conv3x3(x) + bias)``, channels last in and out; ``weight`` from :func:`pack_last`."""
    batch, channels, height, width = x.shape
    out = torch.empty_like(x)
    grid = (-(-height * width // _PIXELS), batch)
    programs.hidden_layer[grid](
        x, weight, bias, out, height, width, HIDDEN=channels, PIXELS=_PIXELS, num_warps=4, num_stages=4
    )
    return out


def last_layer(
    x: Tensor,
    state: Tensor,
    weights: tuple[Tensor, Tensor],
    bias: Tensor,
    gain: Tensor,
    offset: Tensor,
    mix: Tensor,
    *,
    kept: int,
    eps: float,
    out: Tensor,
) -> Tensor:
    """The subnet's last convolution, the inverse of both affine maps, and the linear map that follows.

    Args:
        x: ``(B, hidden, H, W)``, channels last.
        state: ``(B, C, H, W)`` float32, contiguous.
        weights: from :func:`pack_last`, for the changed channels' shift and for the logit of their scale.
        bias: ``(2, padded)`` float32, of shift and logit.
        gain: ``(1, C, H, W)`` float32, contiguous.
        offset: ``(1, C, H, W)`` float32, contiguous.
        mix: ``(2, padded, padded(C))`` float32: rows that take the kept and the changed channels.
        kept: channels that the coupling left alone.
        eps: lower bound of the scales.
        out: ``(B, C, H, W)`` float32; may be ``state`` itself.
    """
    batch, channels, height, width = state.shape
    grid = (-(-height * width // _PIXELS), batch)
    programs.last_layer[grid](
        x, state, *weights, bias, gain, offset, mix, out, height, width, eps,
        KEPT=kept, CHANNELS=channels, HIDDEN=x.shape[1], PAD=weights[0].shape[2], OUT=mix.shape[2],
        PIXELS=_PIXELS, num_warps=4, num_stages=3,
    )  # fmt: skip
    return out
