"""Latents in whole-image coordinates: drawn block by block, so that any tile can have its own without the rest."""

from __future__ import annotations

import hashlib
import math
import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch import Tensor

from srspace.devices import usable_cores

BLOCK = 256
"""Side of a block in LR pixels. A block's latents come from a generator of its own."""

_THREADS = 48  # one core takes several times as long to draw latents as an H100 to decode them

Shape = tuple[int, int, int]


@dataclass(frozen=True)
class Draw:
    """One candidate's draw.

    Attributes:
        index: which candidate.
        temperature: standard deviation of the latents.
        attempt: 0 for the first draw, higher for redraws.
        mirrored: whether to negate the latents.
    """

    index: int
    temperature: float
    attempt: int = 0
    mirrored: bool = False


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

    @torch.inference_mode(False)  # the caller's mode would follow the tensors to threads that do not run in it
    def request(self, draws: Sequence[Draw], rows: slice, columns: slice) -> PendingLatents:
        """Start drawing the latents of a part of the image, given in LR pixels."""
        pinned = self.device.type == "cuda"
        levels: list[list[list[Tensor]]] = []
        work: list[_Fill] = []
        for level, ((channels, _, _), f) in enumerate(zip(self.shapes, self.factors, strict=True)):
            grid = []
            for r in _blocks(rows):
                line = []
                for c in _blocks(columns):
                    block = _Block(level, r, c, *self._sides(r, c), rows, columns, f)
                    shape = (len(draws), channels, *block.kept_shape)
                    part = torch.empty(shape, pin_memory=pinned)
                    line.append(part)
                    work += [_Fill(block, self._seed(draw, block), draw, part[k]) for k, draw in enumerate(draws)]
                grid.append(line)
            levels.append(grid)
        if not pinned:
            # Where the CPU does the decoding its threads are busy already.
            for fill in work:
                fill()
            return PendingLatents(levels, [], self.device)
        return PendingLatents(levels, [_pool().submit(fill) for fill in work], self.device)

    def _sides(self, row: int, column: int) -> tuple[slice, slice]:
        height, width = self.size
        top, left = row * BLOCK, column * BLOCK
        return slice(top, min(top + BLOCK, height)), slice(left, min(left + BLOCK, width))

    def _seed(self, draw: Draw, block: _Block) -> int:
        key = f"srspace/{self.seed}/{draw.index}/{draw.attempt}/{block.level}/{block.row}/{block.column}"
        return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest(), "little") >> 1


class _Block:
    """A block of one level, and the part of it that is wanted."""

    def __init__(
        self, level: int, row: int, column: int, y: slice, x: slice, rows: slice, columns: slice, factor: int
    ) -> None:
        self.level, self.row, self.column = level, row, column
        self.shape = ((y.stop - y.start) * factor, (x.stop - x.start) * factor)
        self.kept = tuple(
            slice((max(whole.start, part.start) - whole.start) * factor,
                  (min(whole.stop, part.stop) - whole.start) * factor)
            for whole, part in ((y, rows), (x, columns))
        )  # fmt: skip
        self.kept_shape = tuple(part.stop - part.start for part in self.kept)


@dataclass(frozen=True)
class _Fill:
    """Draws one block of one candidate into ``target`` ``(C, h, w)``; made to spend little time as Python."""

    block: _Block
    seed: int
    draw: Draw
    target: Tensor

    def __call__(self) -> None:
        self._fill(self.draw.temperature)
        if self.draw.mirrored:
            np.negative(self.target.numpy(), out=self.target.numpy())

    def _fill(self, temperature: float) -> None:
        if not hasattr(_scratch, "generator"):
            _scratch.generator = torch.Generator()
        generator = _scratch.generator.manual_seed(self.seed)
        if self.block.kept_shape == self.block.shape:
            self.target.normal_(0.0, temperature, generator=generator)
            return
        shape = (self.target.shape[0], *self.block.shape)
        if getattr(_scratch, "buffer", None) is None or _scratch.buffer.numel() < math.prod(shape):
            _scratch.buffer = torch.empty(math.prod(shape))
        whole = _scratch.buffer[: math.prod(shape)].normal_(0.0, temperature, generator=generator).view(shape)
        # numpy lets go of the interpreter lock and, unlike torch, starts no threads of its own.
        np.copyto(self.target.numpy(), whole.numpy()[:, self.block.kept[0], self.block.kept[1]])


class PendingLatents:
    """Latents that are being drawn: per level, rows of blocks."""

    def __init__(self, levels: list[list[list[Tensor]]], futures: list[Future[None]], device: torch.device) -> None:
        self._levels, self._futures, self._device = levels, futures, device

    def get(self) -> list[Tensor]:
        """Wait for the drawing; one ``(B, C, h, w)`` float32 tensor per level, on the device (copied alongside).

        To be called once: the blocks are let go of.
        """
        for future in self._futures:
            future.result()
        levels, self._levels = self._levels, []
        if self._device.type != "cuda":
            return [_joined(grid, self._device) for grid in levels]
        here, side = torch.cuda.current_stream(self._device), _copy_stream(self._device)
        with torch.cuda.stream(side):
            out = [_joined(grid, self._device) for grid in levels]
        here.wait_stream(side)
        for z in out:
            z.record_stream(here)
        return out


def _joined(grid: list[list[Tensor]], device: torch.device) -> Tensor:
    lines = [_concatenated([part.to(device, non_blocking=True) for part in line], 3) for line in grid]
    return _concatenated(lines, 2)


def _concatenated(parts: list[Tensor], axis: int) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(parts, axis)


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


_scratch = threading.local()


def _blocks(part: slice) -> range:
    return range(part.start // BLOCK, math.ceil(part.stop / BLOCK))


@cache
def _copy_stream(device: torch.device) -> torch.cuda.Stream:
    return torch.cuda.Stream(device)


@cache
def _pool() -> ThreadPoolExecutor:
    count = max(1, min(_THREADS, usable_cores() - 1))  # one core is left to the thread that feeds the device
    return ThreadPoolExecutor(count, thread_name_prefix="srspace-latents")
