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
    import triton
    import triton.language as tl
except ImportError:  # no Triton on this platform: the eager path is used
    triton = None

_PIXELS = 128


@cache
def available(device: torch.device) -> bool:
    """Whether the kernels can run on ``device``: Triton is there, and tensor cores that take bfloat16."""
    return triton is not None and device.type == "cuda" and torch.cuda.get_device_capability(device) >= (8, 0)


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
    grid = (triton.cdiv(height * width, _PIXELS), batch)
    _first_layer[grid](
        state, weight, hidden, out, height, width,
        CHANNELS=channels, ROWS=weight.shape[0], HIDDEN=wide, PIXELS=_PIXELS, num_warps=4,
    )  # fmt: skip
    return out


def hidden_layer(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """``relu(conv3x3(x) + bias)``, channels last in and out; ``weight`` from :func:`pack_last`."""
    batch, channels, height, width = x.shape
    out = torch.empty_like(x)
    grid = (triton.cdiv(height * width, _PIXELS), batch)
    _hidden_layer[grid](x, weight, bias, out, height, width, HIDDEN=channels, PIXELS=_PIXELS, num_warps=4, num_stages=4)
    return out


def last_layer(
    x: Tensor,
    state: Tensor,
    shift_weight: Tensor,
    logit_weight: Tensor,
    bias: Tensor,
    gain: Tensor,
    offset: Tensor,
    mix: Tensor,
    kept: int,
    eps: float,
    out: Tensor,
) -> Tensor:
    """The subnet's last convolution, the inverse of both affine maps, and the linear map that follows.

    Args:
        x: ``(B, hidden, H, W)``, channels last.
        state: ``(B, C, H, W)`` float32, contiguous.
        shift_weight: from :func:`pack_last`, for the changed channels' shift.
        logit_weight: the same for the logit of their scale.
        bias: ``(2, padded)`` float32, of shift and logit.
        gain: ``(1, C, H, W)`` float32, contiguous.
        offset: ``(1, C, H, W)`` float32, contiguous.
        mix: ``(2, padded, padded(C))`` float32: rows that take the kept and the changed channels.
        kept: channels that the coupling left alone.
        eps: lower bound of the scales.
        out: ``(B, C, H, W)`` float32; may be ``state`` itself.
    """
    batch, channels, height, width = state.shape
    grid = (triton.cdiv(height * width, _PIXELS), batch)
    _last_layer[grid](
        x, state, shift_weight, logit_weight, bias, gain, offset, mix, out, height, width, eps,
        KEPT=kept, CHANNELS=channels, HIDDEN=x.shape[1], PAD=shift_weight.shape[2], OUT=mix.shape[2],
        PIXELS=_PIXELS, num_warps=4, num_stages=3,
    )  # fmt: skip
    return out


if triton is not None:

    @triton.jit(do_not_specialize=["height", "width"])
    def _first_layer(
        state, weight, hidden, out, height, width,
        CHANNELS: tl.constexpr, ROWS: tl.constexpr, HIDDEN: tl.constexpr, PIXELS: tl.constexpr,
    ):  # fmt: skip
        p = tl.program_id(0) * PIXELS + tl.arange(0, PIXELS)
        b = tl.program_id(1).to(tl.int64)
        pixels = height * width
        row, col = p // width, p % width
        n = tl.arange(0, HIDDEN)
        acc = tl.load(hidden + p[:, None] * HIDDEN + n[None, :], mask=(p < pixels)[:, None], other=0.0).to(tl.float32)
        state += b * CHANNELS * pixels
        for start in tl.static_range(0, ROWS, 64):
            k = start + tl.arange(0, 64)
            channel, tap = k // 9, k % 9
            dy, dx = tap // 3 - 1, tap % 3 - 1
            r, c = row[:, None] + dy[None, :], col[:, None] + dx[None, :]
            inside = (r >= 0) & (r < height) & (c >= 0) & (c < width) & (channel < CHANNELS)[None, :]
            at = p[:, None] + (channel * pixels + dy * width + dx)[None, :]
            a = tl.load(state + at, mask=inside, other=0.0)
            w = tl.load(weight + k[:, None] * HIDDEN + n[None, :])
            acc = tl.dot(a.to(w.dtype), w, acc)
        at = (b * pixels + p)[:, None] * HIDDEN + n[None, :]
        tl.store(out + at, tl.maximum(acc, 0.0).to(out.dtype.element_ty), mask=(p < pixels)[:, None])

    @triton.jit(do_not_specialize=["height", "width"])
    def _hidden_layer(x, weight, bias, out, height, width, HIDDEN: tl.constexpr, PIXELS: tl.constexpr):
        p = tl.program_id(0) * PIXELS + tl.arange(0, PIXELS)
        b = tl.program_id(1).to(tl.int64)
        pixels = height * width
        row, col = p // width, p % width
        n = tl.arange(0, HIDDEN)
        acc = tl.zeros((PIXELS, HIDDEN), tl.float32)
        here = x + (b * pixels + p)[:, None] * HIDDEN + n[None, :]
        for tap in range(9):
            dy, dx = tap // 3 - 1, tap % 3 - 1
            r, c = row + dy, col + dx
            inside = (r >= 0) & (r < height) & (c >= 0) & (c < width)
            a = tl.load(here + (dy * width + dx) * HIDDEN, mask=inside[:, None], other=0.0)
            w = tl.load(weight + tap * HIDDEN * HIDDEN + n[:, None] * HIDDEN + n[None, :])
            acc = tl.dot(a, w, acc)
        acc = tl.maximum(acc + tl.load(bias + n)[None, :], 0.0)
        at = (b * pixels + p)[:, None] * HIDDEN + n[None, :]
        tl.store(out + at, acc.to(out.dtype.element_ty), mask=(p < pixels)[:, None])

    @triton.jit(do_not_specialize=["height", "width"])
    def _last_layer(
        x, state, shift_weight, logit_weight, bias, gain, offset, mix, out, height, width, eps,
        KEPT: tl.constexpr, CHANNELS: tl.constexpr, HIDDEN: tl.constexpr, PAD: tl.constexpr, OUT: tl.constexpr,
        PIXELS: tl.constexpr,
    ):  # fmt: skip
        p = tl.program_id(0) * PIXELS + tl.arange(0, PIXELS)
        b = tl.program_id(1).to(tl.int64)
        pixels = height * width
        row, col = p // width, p % width
        n, j, o = tl.arange(0, HIDDEN), tl.arange(0, PAD), tl.arange(0, OUT)
        shift = tl.zeros((PIXELS, PAD), tl.float32)
        logit = tl.zeros((PIXELS, PAD), tl.float32)
        here = x + (b * pixels + p)[:, None] * HIDDEN + n[None, :]
        for tap in range(9):
            dy, dx = tap // 3 - 1, tap % 3 - 1
            r, c = row + dy, col + dx
            inside = (r >= 0) & (r < height) & (c >= 0) & (c < width)
            a = tl.load(here + (dy * width + dx) * HIDDEN, mask=inside[:, None], other=0.0)
            at = tap * HIDDEN * PAD + n[:, None] * PAD + j[None, :]
            shift = tl.dot(a, tl.load(shift_weight + at), shift)
            logit = tl.dot(a, tl.load(logit_weight + at), logit)
        shift += tl.load(bias + j)[None, :]
        logit += tl.load(bias + PAD + j)[None, :]
        scale = 1.0 / (1.0 + tl.exp(-logit)) + eps
        there = (p < pixels)[:, None]
        state += b * CHANNELS * pixels
        at = p[:, None] + j[None, :] * pixels
        kept_there = there & (j < KEPT)[None, :]
        kept = tl.load(state + at, mask=kept_there, other=0.0) * tl.load(gain + at, mask=kept_there, other=0.0)
        changed_there = there & (j < CHANNELS - KEPT)[None, :]
        at += KEPT * pixels
        changed = tl.load(state + at, mask=changed_there, other=0.0) / scale - shift
        changed = changed * tl.load(gain + at, mask=changed_there, other=0.0)
        at = p[:, None] + o[None, :] * pixels
        out_there = there & (o < CHANNELS)[None, :]
        result = tl.load(offset + at, mask=out_there, other=0.0)
        rows = j[:, None] * OUT + o[None, :]
        result = tl.dot(kept, tl.load(mix + rows), result, input_precision="ieee")
        result = tl.dot(changed, tl.load(mix + PAD * OUT + rows), result, input_precision="ieee")
        tl.store(out + b * CHANNELS * pixels + at, result, mask=out_there)
