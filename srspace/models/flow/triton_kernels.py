"""The Triton programs behind :mod:`srspace.models.flow.kernels`; importing this needs Triton."""

# mypy: ignore-errors

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit(do_not_specialize=["height", "width"])
def first_layer(
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
def hidden_layer(x, weight, bias, out, height, width, HIDDEN: tl.constexpr, PIXELS: tl.constexpr):
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
def last_layer(
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
