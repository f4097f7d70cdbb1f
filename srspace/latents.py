"""Latents in whole-image coordinates: drawn block by block, so that any tile can have its own without the rest."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from itertools import product

import numpy as np
import torch
from torch import Tensor

BLOCK = 128
"""Side of a block in LR pixels. A block's latents come from a generator of its own."""

Shape = tuple[int, int, int]


@dataclass(frozen=True)
class Draw:
    """One candidate's draw.

    Attributes:
        index: which candidate.
        temperature: standard deviation of the latents.
        attempt: 0 for the first draw, higher for redraws.
    """

    index: int
    temperature: float
    attempt: int = 0


class Latents:
    """The latents of one image's candidates.

    Every value depends on (seed, candidate, attempt, level, place in the image) alone and comes from the CPU's
    generator: candidates are the same whatever their number, the batch, the tile, the device and the threads.

    Args:
        shapes: ``(C, H, W)`` per level.
        size: height and width of the LR image.
        seed: seed of the series.
        device: where the latents go.
    """

    def __init__(self, shapes: Sequence[Shape], size: tuple[int, int], *, seed: int, device: torch.device) -> None:
        self.shapes, self.size, self.seed, self.device = list(shapes), size, seed, device
        self.factors = [shape[1] // size[0] for shape in shapes]

    def request(self, draws: Sequence[Draw], rows: slice, columns: slice) -> PendingLatents:
        """Start drawing the latents of a part of the image, given in LR pixels."""
        shapes = [
            (len(draws), c, (rows.stop - rows.start) * f, (columns.stop - columns.start) * f)
            for (c, _, _), f in zip(self.shapes, self.factors, strict=True)
        ]
        out = [torch.empty(shape, pin_memory=self.device.type == "cuda") for shape in shapes]
        work = []
        blocks = list(product(_blocks(rows), _blocks(columns)))
        for k, draw in enumerate(draws):
            for level, block in product(range(len(self.shapes)), blocks):
                target = out[level][k].numpy()
                work.append((level, draw, block, rows, columns, target))
        if self.device.type != "cuda":
            # Where the CPU does the decoding its threads are busy already.
            for item in work:
                self._fill(*item)
            return PendingLatents(out, [], self.device)
        return PendingLatents(out, [_pool().submit(self._fill, *item) for item in work], self.device)

    def _fill(
        self, level: int, draw: Draw, block: tuple[int, int], rows: slice, columns: slice, target: np.ndarray
    ) -> None:
        """Draw one whole block and put what overlaps the part into ``target``."""
        f, (height, width) = self.factors[level], self.size
        top, left = block[0] * BLOCK, block[1] * BLOCK
        bottom, right = min(top + BLOCK, height), min(left + BLOCK, width)
        key = f"srspace/{self.seed}/{draw.index}/{draw.attempt}/{level}/{block[0]}/{block[1]}"
        digest = hashlib.blake2b(key.encode(), digest_size=8).digest()
        generator = torch.Generator().manual_seed(int.from_bytes(digest, "little") >> 1)
        shape = (self.shapes[level][0], (bottom - top) * f, (right - left) * f)
        drawn = torch.randn(shape, generator=generator).numpy()
        y0, y1 = max(top, rows.start), min(bottom, rows.stop)
        x0, x1 = max(left, columns.start), min(right, columns.stop)
        source = drawn[:, (y0 - top) * f : (y1 - top) * f, (x0 - left) * f : (x1 - left) * f]
        place = (slice((y0 - rows.start) * f, (y1 - rows.start) * f),
                 slice((x0 - columns.start) * f, (x1 - columns.start) * f))  # fmt: skip
        # numpy lets go of the interpreter lock and, unlike torch, starts no threads of its own.
        np.multiply(source, np.float32(draw.temperature), out=target[:, place[0], place[1]])


class PendingLatents:
    """Latents that are being drawn."""

    def __init__(self, latents: list[Tensor], futures: list[Future[None]], device: torch.device) -> None:
        self._latents, self._futures, self._device = latents, futures, device

    def get(self) -> list[Tensor]:
        """Wait for the drawing; one ``(B, C, h, w)`` float32 tensor per level, on the device (copied alongside)."""
        for future in self._futures:
            future.result()
        if self._device.type != "cuda":
            return [z.to(self._device) for z in self._latents]
        here, side = torch.cuda.current_stream(self._device), _copy_stream(self._device)
        with torch.cuda.stream(side):
            out = [z.to(self._device, non_blocking=True) for z in self._latents]
        here.wait_stream(side)
        for z in out:
            z.record_stream(here)
        return out


def draw_latents(
    shapes: Sequence[Shape], *, seed: int, index: int, temperature: float, attempt: int = 0
) -> list[Tensor]:
    """Latents of one candidate of a whole image, on the CPU.

    Args:
        shapes: ``(C, H, W)`` per latent, as :meth:`srspace.models.flow.ConditionalFlow.latent_shapes` gives them.
        seed: seed of the series.
        index: the candidate.
        temperature: standard deviation.
        attempt: 0 for the first draw, higher for redraws.

    Returns:
        One ``(C, H, W)`` float32 tensor per shape.
    """
    size = (shapes[-1][1], shapes[-1][2])
    latents = Latents(shapes, size, seed=seed, device=torch.device("cpu"))
    pending = latents.request([Draw(index, temperature, attempt)], slice(0, size[0]), slice(0, size[1]))
    return [z[0] for z in pending.get()]


def _blocks(part: slice) -> range:
    return range(part.start // BLOCK, math.ceil(part.stop / BLOCK))


@cache
def _copy_stream(device: torch.device) -> torch.cuda.Stream:
    return torch.cuda.Stream(device)


@cache
def _pool() -> ThreadPoolExecutor:
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return ThreadPoolExecutor(max_workers=min(32, count), thread_name_prefix="srspace-latents")
