"""Candidates of the SR space: decoded in tiles, checked, and drawn again when the flow's inverse explodes."""

from __future__ import annotations

import math
import tempfile
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from srspace.config import SMALLEST_TILE, SamplingConfig
from srspace.devices import available_memory, memory_cap, used_memory
from srspace.errors import MemoryLimitError
from srspace.sampling.latents import Draw, Latents, PendingLatents, draw_latents
from srspace.models import PreparedSRFlow, SRFlow
from srspace.resize import imresize
from srspace.sampling.tiles import MARGIN, Tile, plan_tiles

__all__ = [
    "Candidate", "Redraw", "Sampler", "Sink", "draw_latents", "plan_tiles", "repaired", "sample",
    "what_is_broken",
]  # fmt: skip

_LARGEST_TILE = 1024
_PIXELS_AT_A_TIME = {"cuda": 300_000, "cpu": 4_096}
_CHUNKS_AHEAD = 3
_REDRAWS = (0.75, 0.5)
_RANGE = (-1.0, 2.0)
_WORST_BLOCK = 0.12
_BLOCK = 4
_MEND = 16
_SMALLEST_TILE_BYTES = 160 * 2**20
_WORKSPACE = 96 * 2**20
_FILLED = 0.8  # the rest is lost between the allocator's blocks


@dataclass(frozen=True)
class Redraw:
    """A candidate that was drawn again because the flow's inverse had exploded.

    Attributes:
        index: which candidate.
        temperature: the temperature that gave a usable one.
        attempts: how many draws were thrown away.
        reason: what was wrong with the first.
    """

    index: int
    temperature: float
    attempts: int
    reason: str


@dataclass(frozen=True)
class Candidate:
    """One candidate.

    Attributes:
        index: its place in the series; candidate i depends on the seed and i alone.
        image: ``(3, H, W)`` float32 in [0, 1] on the CPU.
        redraw: set when it is a replacement.
    """

    index: int
    image: Tensor
    redraw: Redraw | None = None


class Sink(Protocol):
    """What takes the candidates of one tile and makes one picture of them."""

    def add(self, indices: Sequence[int], images: Tensor) -> None:
        """Take ``(n, 3, H, W)`` float32 in [0, 1] on the device; all zero where a replacement is to follow."""

    def result(self) -> Tensor:
        """``(3, H, W)``, once every candidate is there."""


class Sampler:
    """Draws the candidates of one LR image.

    The image is worked on tile by tile. What the candidates share (encoder, conditions) is computed once per tile;
    then candidates are decoded several at a time, checked on the device, and handed to a sink that lives there too.
    A candidate that turns out broken in one tile is replaced in all of them.

    Args:
        model: the flow, on its device, or a prepared one (which saves preparing it for every image).
        lr: ``(3, h, w)`` float32 in [0, 1].
        sampling: how to draw.
        progress: called with the share done, from 0 to 1.
        stacked: whether the sink keeps all candidates of a tile, for planning memory.

    Raises:
        ResourceError: the memory limit does not even hold the result.
    """

    def __init__(
        self,
        model: SRFlow | PreparedSRFlow,
        lr: Tensor,
        sampling: SamplingConfig,
        *,
        progress: Callable[[float], None] | None = None,
        stacked: bool = False,
    ) -> None:
        if lr.ndim != 3 or lr.shape[0] != 3 or 0 in lr.shape:
            raise ValueError(f"expected an image (3, h, w), not {tuple(lr.shape)}")
        self.model = model if isinstance(model, PreparedSRFlow) else PreparedSRFlow(model)
        self.sampling, self.progress = sampling, progress
        self.lr = lr.float().cpu()
        self.device, self.scale = self.model.device, self.model.scale
        h, w = lr.shape[1:]
        self.height, self.width = h * self.scale, w * self.scale
        shapes = self.model.latent_shapes(self.height, self.width)
        self.latents = Latents(shapes, (h, w), seed=sampling.seed, device=self.device)
        self.plan = Plan.make(self.model, h, w, sampling, stacked=stacked)
        self._stages = [0] * sampling.samples
        self._reasons: dict[int, str] = {}
        self._done = 0.0

    @property
    def tiles(self) -> list[Tile]:
        """The tiles that the image is worked on by."""
        return self.plan.tiles

    @property
    def redraws(self) -> list[Redraw]:
        """The candidates replaced so far, by index."""
        return [redraw for i in range(self.sampling.samples) if (redraw := self._redraw(i)) is not None]

    def __iter__(self) -> Iterator[Candidate]:
        """The candidates as whole pictures, in order."""
        if len(self.tiles) == 1:
            for indices, images in self._decoded(self.tiles[0], settle=True):
                for i, image in zip(indices, images.cpu(), strict=True):
                    yield Candidate(i, image, self._redraw(i))
            return
        with _spool((self.sampling.samples, 3, self.height, self.width)) as store:
            for tile, sink in self._tiles(lambda tile: _Spool(store, tile, self.scale)):
                sink.result()
                del tile
            for i in range(self.sampling.samples):
                yield Candidate(i, torch.from_numpy(np.array(store[i])), self._redraw(i))

    def collapse(self, sink: Callable[[int], Sink]) -> Tensor:
        """Merge the candidates into one picture; no candidate is ever held as a whole picture.

        Where the device runs out of memory, which others may use, too, the work starts again with smaller tiles.

        Args:
            sink: makes a fresh sink for N candidates.

        Returns:
            ``(3, H, W)`` float32 on the CPU, channels last in memory.
        """
        return self._fitted(lambda: self._collapse(sink))

    def regression(self) -> Tensor:
        """The encoder's own super-resolution, in place of any candidate; as :meth:`collapse` returns it."""
        return self._fitted(self._regressed)

    def _fitted(self, work: Callable[[], Tensor]) -> Tensor:
        while True:
            try:
                with memory_cap(self.device, self.sampling.max_memory):
                    return work()
            except torch.cuda.OutOfMemoryError:
                smaller = self.plan.smaller()
                if smaller is None:
                    raise
            # Only here, outside of the handler, are the tensors of the failed attempt gone.
            self.plan, self._done = smaller, 0.0

    def _collapse(self, sink: Callable[[int], Sink]) -> Tensor:
        out: Tensor | None = None
        for tile, filled in self._tiles(lambda tile: sink(self.sampling.samples)):
            if len(self.tiles) == 1:
                # Sorted by pixel on the device, the result is only copied.
                out = filled.result().permute(1, 2, 0).contiguous().cpu().permute(2, 0, 1)
                continue
            if out is None:
                out = torch.empty(self.height, self.width, 3).permute(2, 0, 1)
            tile.put(filled.result(), out, self.scale)
        if out is None:
            raise ValueError("there is no tile")
        return out

    def _regressed(self) -> Tensor:
        out = torch.empty(self.height, self.width, 3).permute(2, 0, 1)
        for tile in self.tiles:
            tile.put(self._regression(tile), out, self.scale)
            self._advance(1 / len(self.tiles))
        return out

    def _tiles(self, sink: Callable[[Tile], Sink]) -> Iterator[tuple[Tile, Sink]]:
        """Every tile with its filled sink; tiles filled before a candidate was replaced come again."""
        made_with: dict[int, list[int]] = {}
        while True:
            stale = [i for i in range(len(self.tiles)) if made_with.get(i) != self._stages]
            if not stale:
                return
            for i in stale:
                filled = sink(self.tiles[i])
                for indices, images in self._decoded(self.tiles[i], settle=False):
                    filled.add(indices, images)
                made_with[i] = list(self._stages)
                yield self.tiles[i], filled

    @torch.no_grad()
    def _decoded(self, tile: Tile, *, settle: bool) -> Iterator[tuple[list[int], Tensor]]:
        """All candidates of one tile, some at a time: ``(n, 3, H, W)`` of the outer part, in [0, 1].

        Args:
            tile: the tile.
            settle: replace broken candidates before they are yielded, in order, at the price of one wait for the
                device per chunk; otherwise they are yielded as zeros, and their replacements at the end.
        """
        count = self.sampling.samples
        parts = math.ceil(count / self.plan.chunk)
        edges = [round(k * count / parts) for k in range(parts + 1)]
        chunks = [list(range(a, b)) for a, b in pairwise(edges)]
        ahead = _CHUNKS_AHEAD if self.device.type == "cuda" else 0
        waiting = deque(self._request(tile, chunk) for chunk in chunks[:ahead])
        work = _TileWork(self, tile)
        verdicts: list[Tensor] = []
        for k, chunk in enumerate(chunks):
            latents = (waiting.popleft() if waiting else self._request(tile, chunk)).get()
            if ahead and k + ahead < len(chunks):
                waiting.append(self._request(tile, chunks[k + ahead]))
            images, verdict = work.decode(chunk, latents)
            self._advance(len(chunk) / len(self.tiles))
            if settle:
                for i, found in self._broken(chunk, verdict):
                    images[i - chunk[0]] = self._replacement(work, i, found)
            else:
                verdicts.append(verdict)
            yield chunk, images
        if verdicts:
            for i, found in self._broken(range(count), torch.cat(verdicts)):
                yield [i], self._replacement(work, i, found)[None]

    def _request(self, tile: Tile, indices: Sequence[int]) -> PendingLatents:
        draws = [
            Draw(i, self.sampling.temperature * _FACTORS[self._stages[i]], min(self._stages[i], len(_REDRAWS)))
            for i in indices
        ]
        return self.latents.request(draws, tile.outer_rows, tile.outer_columns)

    def _broken(self, indices: Sequence[int], verdict: Tensor) -> list[tuple[int, str]]:
        found = [(i, _described(*row)) for i, row in zip(indices, verdict.tolist(), strict=True)]
        return [(i, reason) for i, reason in found if reason is not None]

    def _replacement(self, work: _TileWork, index: int, reason: str) -> Tensor:
        self._reasons.setdefault(index, reason)
        while True:
            self._stages[index] += 1
            images, verdict = work.decode([index], self._request(work.tile, [index]).get())
            if not self._broken([index], verdict):
                return images[0]

    def _redraw(self, index: int) -> Redraw | None:
        stage = self._stages[index]
        if stage == 0:
            return None
        reason = self._reasons[index] + ("; mended from the encoder's output" if stage >= _MENDED else "")
        return Redraw(index, self.sampling.temperature * _FACTORS[stage], min(stage, len(_REDRAWS)), reason)

    @torch.no_grad()
    def _regression(self, tile: Tile) -> Tensor:
        return self.model.regression(tile.cut(self.lr).to(self.device)[None])[0].clamp_(0, 1)

    def _advance(self, share: float) -> None:
        self._done += share
        if self.progress is not None:
            self.progress(min(1.0, self._done / self.sampling.samples))


# What becomes of a candidate that breaks: drawn again at lower temperatures, then mended from the encoder's output
# where it is broken, and in the end the encoder's output itself.
_FACTORS = (1.0, *_REDRAWS, _REDRAWS[-1], _REDRAWS[-1])
_MENDED = 1 + len(_REDRAWS)
_REGRESSION = 2 + len(_REDRAWS)


class _TileWork:
    """Decoding and checking within one tile; what the candidates share is computed here, once."""

    def __init__(self, sampler: Sampler, tile: Tile) -> None:
        self.sampler, self.tile = sampler, tile
        self.lr = tile.cut(sampler.lr).to(sampler.device, non_blocking=True)
        self.conditions = sampler.model.conditions(self.lr[None])
        self._regression: Tensor | None = None

    def decode(self, indices: Sequence[int], latents: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Images in [0, 1], broken ones zero, and what :func:`_defects` says of them."""
        images = self.sampler.model.decode(latents, self.conditions)
        for k, i in enumerate(indices):
            stage = self.sampler._stages[i]
            if stage == _REGRESSION:
                images[k] = self.regression
            elif stage == _MENDED:
                images[k] = _mended(images[k], self.lr, self.regression)
        verdict = _defects(images, self.lr, self.tile, self.sampler.scale)
        if any(self.sampler._stages[i] == _REGRESSION for i in indices):
            settled = [self.sampler._stages[i] == _REGRESSION for i in indices]
            verdict = verdict.masked_fill(torch.tensor(settled, device=verdict.device)[:, None], 0.0)
        low, high, worst = verdict.unbind(1)
        good = (low >= _RANGE[0]) & (high <= _RANGE[1]) & (worst <= _WORST_BLOCK)
        return torch.where(good[:, None, None, None], images.clamp_(0, 1), 0.0), verdict

    @property
    def regression(self) -> Tensor:
        if self._regression is None:
            self._regression = self.sampler._regression(self.tile)
        return self._regression


@dataclass(frozen=True)
class Plan:
    """How an image is divided so that its computation fits into memory.

    Attributes:
        tiles: the tiles.
        chunk: candidates decoded at a time.
    """

    tiles: list[Tile]
    chunk: int

    @classmethod
    def make(cls, model: PreparedSRFlow, height: int, width: int, sampling: SamplingConfig, *, stacked: bool) -> Plan:
        """Plan an LR image of that size; arguments as of :class:`Sampler`."""
        count = sampling.samples
        conditions, transient, candidate = model.bytes_per_pixel()
        image = 4 * 3 * model.scale**2
        kept = conditions + image * (count + 1 if stacked else 2)
        candidate += 3 * image
        budget = _budget(model.device, sampling.max_memory, height * width * (image + 12))
        wanted = _PIXELS_AT_A_TIME.get(model.device.type, 65_536)

        def chunk(pixels: int) -> int:
            room = int((budget / pixels - kept) / candidate)
            return max(1, min(count, sampling.batch_size or max(1, round(wanted / pixels)), room))

        side = sampling.tile
        if side is None:
            pixels = min(budget / (kept + max(transient, candidate)), _LARGEST_TILE**2)
            side = 0 if height * width <= pixels else max(SMALLEST_TILE, int(math.sqrt(pixels)) - 2 * MARGIN)
        tiles = plan_tiles(height, width, side)
        return cls(tiles, chunk(max(tile.pixels for tile in tiles)))

    def smaller(self) -> Plan | None:
        """A plan for the same image that needs about half the memory; None where that is not possible."""
        height, width = self.tiles[-1].rows.stop, self.tiles[-1].columns.stop
        longest = max(part.stop - part.start for tile in self.tiles for part in (tile.rows, tile.columns))
        side = max(SMALLEST_TILE, int(0.7 * longest))
        if self.chunk == 1 and longest <= SMALLEST_TILE:
            return None
        return Plan(plan_tiles(height, width, side), max(1, self.chunk // 2))


def _budget(device: torch.device, limit: int | None, result: int) -> float:
    """Bytes that a tile may take."""
    if limit is None:
        return available_memory(device) / 2
    budget = limit - used_memory(device) - (result if device.type == "cpu" else 0) - _WORKSPACE
    if budget < _SMALLEST_TILE_BYTES:
        raise MemoryLimitError(limit, int(limit - budget + _SMALLEST_TILE_BYTES))
    return min(_FILLED * budget, available_memory(device))


class _Spool:
    """Puts candidates into a store of whole pictures."""

    def __init__(self, store: np.ndarray, tile: Tile, scale: int) -> None:
        self.store, self.tile, self.scale = store, tile, scale

    def add(self, indices: Sequence[int], images: Tensor) -> None:
        for i, image in zip(indices, images.cpu(), strict=True):
            self.tile.put(image, torch.from_numpy(self.store[i]), self.scale)

    def result(self) -> Tensor:
        return torch.empty(0)


@contextmanager
def _spool(shape: tuple[int, int, int, int]) -> Iterator[np.ndarray]:
    """Room for N pictures: in memory, or in a temporary file when they would take more than a quarter of it."""
    if 4 * math.prod(shape) <= available_memory(torch.device("cpu")) / 4:
        yield np.empty(shape, np.float32)
        return
    with tempfile.TemporaryFile() as file:
        yield np.memmap(file, np.float32, "w+", shape=shape)


@lru_cache(maxsize=16)
def _shrinking(side: int, length: int, device: torch.device) -> Tensor:
    """MATLAB's bicubic reduction of one axis as a matrix ``(length, side)``."""
    return imresize(torch.eye(side)[None], size=(length, side))[0].to(device)


def _defects(images: Tensor, lr: Tensor, tile: Tile, scale: int) -> Tensor:
    """Smallest and largest value of each image's kept part, and its largest mean error over a block: ``(n, 3)``.

    Not-a-number is passed on. Nothing here waits for the device.
    """
    kept = tile.kept(images, scale).flatten(1)
    rows = _shrinking(images.shape[2], lr.shape[1], lr.device)
    columns = _shrinking(images.shape[3], lr.shape[2], lr.device)
    small = rows @ images.clamp(0, 1) @ columns.t()
    near = tile.inner(_BLOCK - 1)
    error = (small - lr).abs().mean(1, keepdim=True)[..., near[0], near[1]]
    worst = torch.nn.functional.avg_pool2d(error, min(_BLOCK, *error.shape[2:]), 1).flatten(1).amax(1)
    return torch.stack((kept.amin(1), kept.amax(1), worst), 1)


def _described(low: float, high: float, worst: float) -> str | None:
    if not (math.isfinite(low) and math.isfinite(high)):
        return "values that are not finite"
    if low < _RANGE[0] or high > _RANGE[1]:
        return f"values far out of range ({low:.2g} to {high:.2g})"
    if not worst <= _WORST_BLOCK:
        return f"a patch that is {255 * worst:.0f} grey levels away from the input"
    return None


def what_is_broken(image: Tensor, lr: Tensor) -> str | None:
    """Why a candidate must not be used, or None.

    Args:
        image: ``(3, H, W)``, unclamped.
        lr: ``(3, h, w)``, the image that it must agree with when downscaled.
    """
    (whole,) = plan_tiles(lr.shape[1], lr.shape[2], 0)
    return _described(*_defects(image[None], lr, whole, image.shape[1] // lr.shape[1])[0].tolist())


def repaired(image: Tensor, lr: Tensor, regression: Tensor) -> Tensor:
    """Replace what is broken in a candidate, and a soft margin around it, by the encoder's own output.

    Args:
        image: ``(3, H, W)``, unclamped.
        lr: ``(3, h, w)``.
        regression: the encoder's output, ``(3, H, W)`` in [0, 1].

    Returns:
        ``(3, H, W)`` in [0, 1]; the regression itself where nothing can be kept.
    """
    mended = _mended(image, lr, regression)
    return mended if what_is_broken(mended, lr) is None else regression


def _mended(image: Tensor, lr: Tensor, regression: Tensor) -> Tensor:
    bad = (~torch.isfinite(image) | (image < _RANGE[0]) | (image > _RANGE[1])).any(0)
    kept = torch.where(bad, regression, image.nan_to_num(0.0)).clamp(0, 1)
    error = (imresize(kept, size=(lr.shape[1], lr.shape[2])) - lr).abs().mean(0, keepdim=True)
    worst = torch.nn.functional.interpolate(error[None], size=bad.shape, mode="nearest")[0, 0]
    mask = (bad | (worst > _WORST_BLOCK / 2)).float()[None, None]
    mask = torch.nn.functional.max_pool2d(mask, 2 * _MEND + 1, 1, _MEND)
    mask = torch.nn.functional.avg_pool2d(mask, _MEND + 1, 1, _MEND // 2, count_include_pad=False)[0]
    return torch.lerp(kept, regression, mask)


def sample(
    model: SRFlow,
    lr: Tensor,
    *,
    samples: int = SamplingConfig.samples,
    temperature: float = SamplingConfig.temperature,
    seed: int = SamplingConfig.seed,
    tile: int | None = None,
    batch_size: int | None = None,
) -> Tensor:
    """N candidates of one image.

    Candidate i is the same (to float rounding) whatever N, the tile, the batch size and the device.

    Args:
        model: a flow, as :func:`srspace.load_flow` returns it.
        lr: ``(3, h, w)`` or ``(1, 3, h, w)`` in [0, 1].
        samples: N.
        temperature: tau.
        seed: any whole number from 0.
        tile: side of a tile in LR pixels (None: from the memory that is there; 0: never tile).
        batch_size: candidates computed at a time.

    Returns:
        ``(N, 3, scale * h, scale * w)`` float32 in [0, 1] on the CPU.

    Raises:
        UsageError: a setting is out of range.
    """
    config = replace(SamplingConfig(), samples=samples, temperature=temperature, seed=seed, tile=tile)
    config = replace(config, batch_size=batch_size)
    image = lr[0] if lr.ndim == 4 and lr.shape[0] == 1 else lr
    return torch.stack([candidate.image for candidate in Sampler(model, image, config)])
