"""The loop over an image: tile by tile, candidates are decoded, checked, and handed to sinks."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from srspace.config import SamplingConfig
from srspace.devices import give_back_freed_memory, memory_cap, out_of_memory
from srspace.errors import DeviceMemoryError
from srspace.models.inference import CandidateModel
from srspace.modes import SinkMaker
from srspace.sampling import defects
from srspace.sampling.latents import Latents, PendingLatents
from srspace.sampling.plan import Plan
from srspace.sampling.redraws import Redraw, Redraws
from srspace.sampling.tee import Tee
from srspace.sampling.tiles import Tile
from srspace.sampling.work import TileWork
from srspace.tf32 import exact_float32

_CHUNKS_AHEAD = 3


class GroupSampler:
    """Draws the candidates of LR images of one size and has sinks make pictures of them.

    The images are worked on tile by tile. What the candidates of an image share (encoder, conditions) is computed once
    per tile; then candidates are decoded several at a time, checked on the device, and handed to sinks that live there
    too. A candidate that turns out broken in one tile is replaced in all of them. As far as the plan allows it, images
    are encoded and decoded together; each has its own candidates, which are those that it would have alone.

    Args:
        model: the model, on its device.
        lrs: ``(3, h, w)`` float32 in [0, 1] each.
        sampling: how to draw; how many candidates, the sinks say.
        progress: called with the share done, from 0 to 1.
        redraws: for each image the candidates that other pictures of an animation have replaced; they are replaced
            here, too, and those that the image replaces are added (None: none yet).
        measure: called, for images that are not divided, with their results ``(B, 3, H, W)`` by the first maker and
            with the images ``(B, 3, h, w)``, both on the device; returns a number for each, ``(B,)``.

    Attributes:
        plan: how the images were divided; None before any work.
        measured: by the number of an image, what ``measure`` returned.
    """

    def __init__(
        self,
        model: CandidateModel,
        lrs: Sequence[Tensor],
        sampling: SamplingConfig,
        *,
        progress: Callable[[float], None] | None = None,
        redraws: Sequence[Redraws] | None = None,
        measure: Callable[[Tensor, Tensor], Tensor] | None = None,
    ) -> None:
        for lr in lrs:
            if lr.ndim != 3 or lr.shape[0] != 3 or 0 in lr.shape:
                raise ValueError(f"expected an image (3, h, w), not {tuple(lr.shape)}")
            if lr.shape != lrs[0].shape:
                raise ValueError("images of one size can be sampled together, not others")
        self.model, self.sampling, self.progress, self._measure = model, sampling, progress, measure
        self.measured: dict[int, float] = {}
        self.lrs = [lr.float().cpu() for lr in lrs]
        self.plan: Plan | None = None
        height, width = lrs[0].shape[1:]
        shapes = model.latent_shapes(height * model.scale, width * model.scale)
        self._latents = Latents(shapes, (height, width), seed=sampling.seed, device=model.device)
        self._redraws = redraws or [Redraws.of(sampling) for _ in lrs]
        self._done = 0.0

    @property
    def redraws(self) -> list[list[Redraw]]:
        """For each image the candidates replaced so far, by index."""
        return [redraws.reports() for redraws in self._redraws]

    def collapse_all(self, makers: Sequence[SinkMaker]) -> list[list[Tensor]]:
        """Make several pictures of the same candidates of each image, each of which is drawn once.

        Where the device runs out of memory, which others may use, too, the work goes on with fewer images at a time,
        then with smaller tiles.

        Args:
            makers: what makes a sink for each tile, as :meth:`srspace.modes.Mode.sink` returns it. Each takes the first
                few candidates; as many are drawn as one of them takes.

        Returns:
            For each image, for each maker, ``(3, scale * h, scale * w)`` float32 on the CPU, channels last in memory.

        Raises:
            MemoryLimitError: the memory limit does not even hold the results.
            DeviceMemoryError: the device runs out of memory, even by the smallest tiles.
        """
        height, width = self.lrs[0].shape[1:]
        self.plan = Plan.make(self.model, height, width, self.sampling, makers, len(self.lrs))
        pictures: list[list[Tensor]] = []
        while (first := len(pictures)) < len(self.lrs):
            self._done = first
            numbers = range(first, min(first + self.plan.images, len(self.lrs)))
            try:
                with memory_cap(self.model.device, self.sampling.max_memory), exact_float32(), torch.no_grad():
                    pictures += self._collapse(numbers, makers, self.plan)
                continue
            except (RuntimeError, MemoryError, OSError) as error:
                if not out_of_memory(error):
                    raise
                smaller = self.plan.smaller()
                if smaller is None:
                    raise DeviceMemoryError(str(self.model.device)) from error
            # Only here, outside of the handler, are the tensors of the failed attempt gone.
            self.plan = smaller
        return pictures

    def _collapse(self, numbers: Sequence[int], makers: Sequence[SinkMaker], plan: Plan) -> list[list[Tensor]]:
        pictures: dict[tuple[int, int], Tensor] = {}
        made_with: dict[tuple[int, int], dict[int, int]] = {}

        def stale(k: int) -> list[int]:
            return [n for n in numbers if made_with.get((k, n)) != self._redraws[n].stages()]

        # A tile that was filled before some candidate was replaced is filled again.
        while todo := {k: those for k in range(len(plan.tiles)) if (those := stale(k))}:
            for k, those in todo.items():
                tile = plan.tiles[k]
                lr, tees = self._filled(tile, those, makers, plan)
                for i, results in enumerate(zip(*(tee.results() for tee in tees), strict=True)):
                    if len(plan.tiles) == 1:
                        images = _by_pixel(results)
                        if i == 0 and self._measure is not None:
                            self.measured |= zip(those, self._measure(images, lr).tolist(), strict=True)
                        pictures |= {(n, i): image for n, image in zip(those, images.cpu(), strict=True)}
                        continue
                    for n, result in zip(those, results, strict=True):
                        pictures[n, i] = self._placed(result, tile, pictures.get((n, i)))
                made_with |= {(k, n): self._redraws[n].stages() for n in those}
                if self.sampling.max_memory is not None:
                    give_back_freed_memory(self.model.device)
        return [[pictures[n, i] for i in range(len(makers))] for n in numbers]

    def _placed(self, result: Tensor, tile: Tile, picture: Tensor | None) -> Tensor:
        """The picture with a tile's result at its place."""
        if picture is None:
            height, width = (side * self.model.scale for side in self.lrs[0].shape[1:])
            picture = torch.empty(*result.shape[:-3], height, width, result.shape[-3]).movedim(-1, -3)
        tile.put(result, picture, self.model.scale)
        return picture

    def _filled(
        self, tile: Tile, numbers: Sequence[int], makers: Sequence[SinkMaker], plan: Plan
    ) -> tuple[Tensor, list[Tee]]:
        """One tile of the images, on the device, and for each image sinks that have all candidates of it."""
        count = max(maker.count for maker in makers)
        chunks = _chunks(count, plan.chunk)
        ahead = _CHUNKS_AHEAD if self.model.device.type == "cuda" else 0
        waiting = deque(self._request(tile, numbers, chunk) for chunk in chunks[:ahead])
        work = TileWork(self.model, [self.lrs[n] for n in numbers], tile)
        tees = [Tee(makers, work.inputs(owner)) for owner in range(len(numbers))]
        findings: list[Tensor] = []
        for k, chunk in enumerate(chunks):
            latents = (waiting.popleft() if waiting else self._request(tile, numbers, chunk)).get()
            if ahead and k + ahead < len(chunks):
                waiting.append(self._request(tile, numbers, chunks[k + ahead]))
            owners = [owner for owner in range(len(numbers)) for _ in chunk]
            stages = [self._redraws[n].stage(i) for n in numbers for i in chunk]
            images, found = work.decode(owners, stages, latents)
            findings.append(found.unflatten(0, (len(numbers), len(chunk))))
            for tee, own in zip(tees, images.split(len(chunk)), strict=True):
                tee.add(chunk, own)
            self._advance(len(numbers) * len(chunk) / (count * len(plan.tiles)))
        if findings:
            # The one wait for the device: broken candidates were taken as zeros so far.
            for owner, rows in enumerate(torch.cat(findings, 1).tolist()):
                for i, row in enumerate(rows):
                    reason = defects.described(*row)
                    if reason is not None:
                        tees[owner].add([i], self._replacement(work, owner, numbers[owner], i, reason))
        else:
            self._advance(len(numbers) / len(plan.tiles))
        work.finish()
        return work.lr, tees

    def _request(self, tile: Tile, numbers: Sequence[int], indices: Sequence[int]) -> _Requested:
        draws = [self._redraws[n].draw(i) for n in numbers for i in indices]
        different = list(dict.fromkeys(draws))  # the images' latents are the same
        pending = self._latents.request(different, tile.outer_rows, tile.outer_columns)
        return _Requested(pending, [different.index(draw) for draw in draws] if len(different) < len(draws) else None)

    def _replacement(self, work: TileWork, owner: int, number: int, index: int, reason: str | None) -> Tensor:
        """``(1, 3, H, W)`` in place of a broken candidate."""
        redraws = self._redraws[number]
        while reason is not None:
            redraws.go_on(index, reason)
            latents = self._request(work.tile, [number], [index]).get()
            image, findings = work.decode([owner], [redraws.stage(index)], latents)
            reason = defects.described(*findings[0].tolist())
        return image

    def _advance(self, share: float) -> None:
        self._done += share
        if self.progress is not None:
            self.progress(min(1.0, self._done / len(self.lrs)))


class Sampler:
    """:class:`GroupSampler` for one image.

    Args:
        model: as there.
        lr: ``(3, h, w)`` float32 in [0, 1].
        sampling: as there.
        progress: as there.
        redraws: as there.
    """

    def __init__(
        self,
        model: CandidateModel,
        lr: Tensor,
        sampling: SamplingConfig,
        *,
        progress: Callable[[float], None] | None = None,
        redraws: Redraws | None = None,
    ) -> None:
        shared = None if redraws is None else [redraws]
        self._group = GroupSampler(model, [lr], sampling, progress=progress, redraws=shared)

    @property
    def plan(self) -> Plan | None:
        """How the image was divided; None before any work."""
        return self._group.plan

    @property
    def redraws(self) -> list[Redraw]:
        """The candidates replaced so far, by index."""
        return self._group.redraws[0]

    def collapse(self, maker: SinkMaker) -> Tensor:
        """Make one picture of the candidates, none of which is ever held as a whole picture.

        Raises:
            ResourceError: see :meth:`GroupSampler.collapse_all`.
        """
        return self.collapse_all([maker])[0]

    def collapse_all(self, makers: Sequence[SinkMaker]) -> list[Tensor]:
        """A picture for each maker, as :meth:`GroupSampler.collapse_all` returns it.

        Raises:
            ResourceError: see there.
        """
        return self._group.collapse_all(makers)[0]


class _Requested(NamedTuple):
    """Latents that are being drawn, and which of them each candidate has (None: each its own)."""

    pending: PendingLatents
    which: list[int] | None

    def get(self) -> list[Tensor]:
        latents = self.pending.get()
        return latents if self.which is None else [z[self.which] for z in latents]


def _by_pixel(results: Sequence[Tensor]) -> Tensor:
    """Results side by side, sorted by pixel on their device, so that they are only copied, and all at once."""
    return torch.stack([result.movedim(-3, -1) for result in results]).movedim(-1, -3)


def _chunks(count: int, most: int) -> list[list[int]]:
    """The numbers of ``count`` candidates in parts of about the same size, ``most`` at most."""
    parts = math.ceil(count / most)
    edges = [round(k * count / parts) for k in range(parts + 1)] if parts else []
    return [list(range(a, b)) for a, b in pairwise(edges)]
