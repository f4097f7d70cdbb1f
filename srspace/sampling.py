"""Candidates of the SR space: seeded latents, decoded in tiles, checked, and drawn again when the inverse explodes."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

import torch
from torch import Tensor

from srspace.config import SamplingConfig
from srspace.devices import available_memory
from srspace.models import SRFlow
from srspace.resize import imresize

MARGIN = 24
"""LR pixels computed around a tile and thrown away; beyond them nothing visible reaches into the tile."""

_LARGEST_TILE = 448
_BYTES_PER_PIXEL = 36_000
_BYTES_PER_PIXEL_AND_CANDIDATE = 7_000
_REDRAWS = (0.75, 0.5)
_RANGE = (-1.0, 2.0)
_WORST_BLOCK = 0.12
_BLOCK = 4
_MEND = 16


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


@dataclass(frozen=True)
class Tile:
    """A tile in LR pixels: ``rows`` and ``columns`` are kept, ``outer_*`` are computed."""

    rows: slice
    columns: slice
    outer_rows: slice
    outer_columns: slice

    def cut(self, image: Tensor, scale: int = 1) -> Tensor:
        """The outer part of ``(..., H, W)`` at ``scale`` times the LR size."""
        return image[..., _times(self.outer_rows, scale), _times(self.outer_columns, scale)]

    def put(self, outer: Tensor, into: Tensor, scale: int) -> None:
        """Copy the kept part of ``outer`` to its place in ``into``, both at ``scale`` times the LR size."""
        top = (self.rows.start - self.outer_rows.start) * scale
        left = (self.columns.start - self.outer_columns.start) * scale
        rows, columns = _times(self.rows, scale), _times(self.columns, scale)
        kept = outer[..., top : top + rows.stop - rows.start, left : left + columns.stop - columns.start]
        into[..., rows, columns] = kept.to(into.device, into.dtype)


def plan_tiles(height: int, width: int, tile: int) -> list[Tile]:
    """Cover an LR image with tiles of at most ``tile`` pixels a side (0: one tile)."""

    def spans(length: int) -> list[tuple[slice, slice]]:
        count = max(1, math.ceil(length / tile)) if tile else 1
        edges = [round(i * length / count) for i in range(count + 1)]
        return [(slice(a, b), slice(max(0, a - MARGIN), min(length, b + MARGIN))) for a, b in pairwise(edges)]

    return [Tile(r, c, outer_r, outer_c) for r, outer_r in spans(height) for c, outer_c in spans(width)]


def automatic_tile(height: int, width: int, device: torch.device, candidates: int = 1) -> int:
    """Side of the largest tile that half of the device's free memory can hold; 0 when the whole image fits."""
    budget = available_memory(device) / 2
    pixels = budget / (_BYTES_PER_PIXEL + _BYTES_PER_PIXEL_AND_CANDIDATE * candidates)
    side = max(16, min(_LARGEST_TILE, int(math.sqrt(pixels)) - 2 * MARGIN))
    return 0 if max(height, width) <= side else side


def draw_latents(
    shapes: list[tuple[int, int, int]], *, seed: int, index: int, temperature: float, attempt: int = 0
) -> list[Tensor]:
    """Latents of one candidate, in whole-image coordinates, from the CPU's generator.

    Args:
        shapes: ``(C, H, W)`` per latent.
        seed: seed of the series.
        index: the candidate.
        temperature: standard deviation.
        attempt: 0 for the first draw, higher for redraws.

    Returns:
        One ``(C, H, W)`` float32 tensor per shape; each depends on (seed, index, attempt, level) alone.
    """
    latents = []
    for level, shape in enumerate(shapes):
        key = hashlib.blake2b(f"srspace/{seed}/{index}/{attempt}/{level}".encode(), digest_size=8).digest()
        generator = torch.Generator().manual_seed(int.from_bytes(key, "little") >> 1)
        latents.append(torch.randn(shape, generator=generator) * temperature)
    return latents


class Sampler:
    """Draws the candidates of one LR image, in order.

    Candidates are computed a group at a time, tile by tile; what they share (encoder, conditions) is computed once
    per tile and group. Results are gathered on the CPU, so the device never holds a whole picture.

    Args:
        model: the flow, on its device.
        lr: ``(3, h, w)`` float32 in [0, 1].
        sampling: how to draw.
        progress: called with the share done, from 0 to 1.
    """

    def __init__(
        self,
        model: SRFlow,
        lr: Tensor,
        sampling: SamplingConfig,
        *,
        progress: Callable[[float], None] | None = None,
    ) -> None:
        if lr.ndim != 3 or lr.shape[0] != 3 or 0 in lr.shape:
            raise ValueError(f"expected an image (3, h, w), not {tuple(lr.shape)}")
        self.model, self.sampling, self.progress = model, sampling, progress
        self.lr = lr.float().cpu()
        self.device = model.flow.levels[0].steps[0].actnorm.bias.device  # type: ignore[union-attr, index]
        height, width = lr.shape[1:]
        self.height, self.width = height * model.scale, width * model.scale
        self.shapes = model.flow.latent_shapes(self.height, self.width)
        self.group = min(sampling.samples, sampling.batch_size or self._automatic_group())
        # A CPU's caches hold one candidate better than several; a GPU wants them side by side.
        self.chunk = 1 if self.device.type == "cpu" else self.group
        tile = sampling.tile
        self.tiles = plan_tiles(
            height, width, automatic_tile(height, width, self.device, self.chunk) if tile is None else tile
        )
        self._done = 0.0

    def __iter__(self) -> Iterator[Candidate]:
        total = self.sampling.samples
        for start in range(0, total, self.group):
            indices = list(range(start, min(start + self.group, total)))
            images = self._decode([(i, 0, self.sampling.temperature) for i in indices])
            for k, index in enumerate(indices):
                yield self._checked(index, images[k])
            del images

    @torch.no_grad()
    def _decode(self, draws: list[tuple[int, int, float]]) -> Tensor:
        sampling, scale = self.sampling, self.model.scale
        drawn = [
            draw_latents(self.shapes, seed=sampling.seed, index=i, attempt=attempt, temperature=tau)
            for i, attempt, tau in draws
        ]
        latents = [torch.stack(level) for level in zip(*drawn, strict=True)]
        del drawn
        out = torch.empty(len(draws), 3, self.height, self.width)
        for tile in self.tiles:
            features = self.model.features(tile.cut(self.lr).to(self.device)[None])
            conditions = self.model.conditions(features)
            del features
            for part in torch.arange(len(draws)).split(self.chunk):
                chosen = slice(int(part[0]), int(part[-1]) + 1)
                cut = [
                    tile.cut(z[chosen], z.shape[-1] // self.lr.shape[-1]).to(self.device, non_blocking=True)
                    for z in latents
                ]
                tile.put(self.model.flow.inverse(cut, conditions), out[chosen], scale)
                self._advance(len(part) / len(self.tiles))
        return out

    def _checked(self, index: int, image: Tensor) -> Candidate:
        reason = what_is_broken(image, self.lr)
        if reason is None:
            return Candidate(index, image.clamp_(0, 1))
        for attempt, factor in enumerate(_REDRAWS, start=1):
            temperature = self.sampling.temperature * factor
            image = self._decode([(index, attempt, temperature)])[0]
            if what_is_broken(image, self.lr) is None:
                return Candidate(index, image.clamp_(0, 1), Redraw(index, temperature, attempt, reason))
        regression = self._regression()
        image = repaired(image, self.lr, regression)
        return Candidate(
            index, image, Redraw(index, temperature, attempt, f"{reason}; mended from the encoder's output")
        )

    @torch.no_grad()
    def _regression(self) -> Tensor:
        out = torch.empty(3, self.height, self.width)
        for tile in self.tiles:
            tile.put(self.model.encoder(tile.cut(self.lr).to(self.device)[None])[0], out, self.model.scale)
        return out.clamp_(0, 1)

    def _advance(self, candidates: float) -> None:
        self._done += candidates
        if self.progress is not None:
            self.progress(min(1.0, self._done / self.sampling.samples))

    def _automatic_group(self) -> int:
        latent_bytes = sum(4 * math.prod(shape) for shape in self.shapes)
        per_candidate = 2 * latent_bytes + 4 * 3 * self.height * self.width
        host = available_memory(torch.device("cpu")) / 4
        return max(1, min(16, int(host / per_candidate)))


def what_is_broken(image: Tensor, lr: Tensor) -> str | None:
    """Why a candidate must not be used, or None.

    Args:
        image: ``(3, H, W)``, unclamped.
        lr: ``(3, h, w)``, the image that it must agree with when downscaled.
    """
    if not torch.isfinite(image).all():
        return "values that are not finite"
    low, high = image.min().item(), image.max().item()
    if low < _RANGE[0] or high > _RANGE[1]:
        return f"values far out of range ({low:.2g} to {high:.2g})"
    error = (imresize(image.clamp(0, 1), size=(lr.shape[1], lr.shape[2])) - lr).abs().mean(0, keepdim=True)
    side = min(_BLOCK, *lr.shape[1:])
    worst = torch.nn.functional.avg_pool2d(error[None], side, 1).max().item()
    if worst > _WORST_BLOCK:
        return f"a patch that is {255 * worst:.0f} grey levels away from the input"
    return None


def repaired(image: Tensor, lr: Tensor, regression: Tensor) -> Tensor:
    """Replace what is broken in a candidate, and a soft margin around it, by the encoder's own output.

    Args:
        image: ``(3, H, W)``, unclamped.
        lr: ``(3, h, w)``.
        regression: the encoder's output, ``(3, H, W)`` in [0, 1].

    Returns:
        ``(3, H, W)`` in [0, 1]; the regression itself where nothing can be kept.
    """
    bad = (~torch.isfinite(image) | (image < _RANGE[0]) | (image > _RANGE[1])).any(0)
    kept = torch.where(bad, regression, image.nan_to_num(0.0)).clamp(0, 1)
    error = (imresize(kept, size=(lr.shape[1], lr.shape[2])) - lr).abs().mean(0, keepdim=True)
    worst = torch.nn.functional.interpolate(error[None], size=bad.shape, mode="nearest")[0, 0]
    mask = (bad | (worst > _WORST_BLOCK / 2)).float()[None, None]
    mask = torch.nn.functional.max_pool2d(mask, 2 * _MEND + 1, 1, _MEND)
    mask = torch.nn.functional.avg_pool2d(mask, _MEND + 1, 1, _MEND // 2, count_include_pad=False)[0]
    mended = torch.lerp(kept, regression, mask)
    return mended if what_is_broken(mended, lr) is None else regression


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


def _times(part: slice, scale: int) -> slice:
    return slice(part.start * scale, part.stop * scale)
