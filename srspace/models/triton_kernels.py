"""The Triton programs behind :mod:`srspace.models.kernels`; importing this needs Triton."""

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
def dense_layer(
    x, weight, bias, out, inner, outer, height, width,
    ACROSS: tl.constexpr, IN: tl.constexpr, OUT: tl.constexpr, STEP: tl.constexpr, RESIDUALS: tl.constexpr,
    PIXELS: tl.constexpr,
):  # fmt: skip
    p = tl.program_id(0) * PIXELS + tl.arange(0, PIXELS)
    row, col = p // width, p % width
    k, n = tl.arange(0, STEP), tl.arange(0, OUT)
    acc = tl.zeros((PIXELS, OUT), tl.float32)
    parts: tl.constexpr = IN // STEP
    for i in range(9 * parts):
        tap, start = i // parts, (i % parts) * STEP
        dy, dx = tap // 3 - 1, tap % 3 - 1
        r, c = row + dy, col + dx
        inside = (r >= 0) & (r < height) & (c >= 0) & (c < width)
        at = (p + dy * width + dx)[:, None] * ACROSS + start + k[None, :]
        a = tl.load(x + at, mask=inside[:, None], other=0.0)
        w = tl.load(weight + (tap * IN + start + k)[:, None] * OUT + n[None, :])
        acc = tl.dot(a, w, acc)
    acc += tl.load(bias + n)[None, :]
    there = (p < height * width)[:, None]
    at = p[:, None] * ACROSS + n[None, :]
    if RESIDUALS == 0:
        acc = tl.where(acc > 0, acc, 0.2 * acc)
    else:
        acc = tl.load(inner + at, mask=there, other=0.0).to(tl.float32) + 0.2 * acc
        if RESIDUALS == 2:
            acc = tl.load(outer + at, mask=there, other=0.0).to(tl.float32) + 0.2 * acc
    tl.store(out + at, acc.to(out.dtype.element_ty), mask=there)


@triton.jit(do_not_specialize=["height", "width"])
def last_layer(
    x, state, weight, bias, gain, offset, mix, out, height, width, eps,
    KEPT: tl.constexpr, CHANNELS: tl.constexpr, HIDDEN: tl.constexpr, PAD: tl.constexpr, OUT: tl.constexpr,
    PIXELS: tl.constexpr,
):  # fmt: skip
    p = tl.program_id(0) * PIXELS + tl.arange(0, PIXELS)
    b = tl.program_id(1).to(tl.int64)
    pixels = height * width
    row, col = p // width, p % width
    n, j, o = tl.arange(0, HIDDEN), tl.arange(0, PAD), tl.arange(0, OUT)
    both = tl.arange(0, 2 * PAD)
    acc = tl.zeros((PIXELS, 2 * PAD), tl.float32)
    here = x + (b * pixels + p)[:, None] * HIDDEN + n[None, :]
    for tap in range(9):
        dy, dx = tap // 3 - 1, tap % 3 - 1
        r, c = row + dy, col + dx
        inside = (r >= 0) & (r < height) & (c >= 0) & (c < width)
        a = tl.load(here + (dy * width + dx) * HIDDEN, mask=inside[:, None], other=0.0)
        w = tl.load(weight + (tap * HIDDEN + n[:, None]) * (2 * PAD) + both[None, :])
        acc = tl.dot(a, w, acc)
    acc += tl.load(bias + both)[None, :]
    shift, logit = tl.split(tl.reshape(acc, (PIXELS, PAD, 2)))
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
