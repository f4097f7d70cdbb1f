"""The loop over an image: tile by tile, candidates are decoded, checked, and handed to sinks."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor

from srspace.config import SamplingConfig
from srspace.devices import memory_cap, out_of_memory
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


class Sampler:
    """Draws the candidates of one LR image and has sinks make pictures of them.

    The image is worked on tile by tile. What the candidates share (encoder, conditions) is computed once per tile;
    then candidates are decoded several at a time, checked on the device, and handed to sinks that live there too. A
    candidate that turns out broken in one tile is replaced in all of them.

    Args:
        model: the model, on its device.
        lr: ``(3, h, w)`` float32 in [0, 1].
        sampling: how to draw; how many candidates, the sinks say.
        progress: called with the share done, from 0 to 1.
        redraws: the candidates that other pictures of an animation have replaced; they are replaced here, too, and
            those that this picture replaces are added.

    Attributes:
        plan: how the image was divided; None before any work.
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
        if lr.ndim != 3 or lr.shape[0] != 3 or 0 in lr.shape:
            raise ValueError(f"expected an image (3, h, w), not {tuple(lr.shape)}")
        self.model, self.sampling, self.progress = model, sampling, progress
        self.lr = lr.float().cpu()
        self.plan: Plan | None = None
        height, width = lr.shape[1:]
        shapes = model.latent_shapes(height * model.scale, width * model.scale)
        self._latents = Latents(shapes, (height, width), seed=sampling.seed, device=model.device)
        self._redraws = redraws or Redraws.of(sampling)
        self._done = 0.0

    @property
    def redraws(self) -> list[Redraw]:
        """The candidates replaced so far, by index."""
        return self._redraws.reports()

    def collapse(self, maker: SinkMaker) -> Tensor:
        """Make one picture of the candidates, none of which is ever held as a whole picture.

        Args:
            maker: makes a sink for each tile, as :meth:`srspace.modes.Mode.sink` returns it.

        Returns:
            ``(3, scale * h, scale * w)`` float32 on the CPU, channels last in memory.

        Raises:
            MemoryLimitError: the memory limit does not even hold the result.
            DeviceMemoryError: the device runs out of memory, even by the smallest tiles.
        """
        return self.collapse_all([maker])[0]

    def collapse_all(self, makers: Sequence[SinkMaker]) -> list[Tensor]:
        """Make several pictures of the same candidates, each of which is drawn once.

        Where the device runs out of memory, which others may use, too, the work starts again with smaller tiles.

        Args:
            makers: see :meth:`collapse`. Each takes the first few candidates; as many are drawn as one of them takes.

        Returns:
            A picture for each, as :meth:`collapse` returns it.

        Raises:
            ResourceError: see :meth:`collapse`.
        """
        height, width = self.lr.shape[1:]
        self.plan = Plan.make(self.model, height, width, self.sampling, makers)
        while True:
            self._done = 0.0
            try:
                with memory_cap(self.model.device, self.sampling.max_memory), exact_float32(), torch.no_grad():
                    return self._collapse(makers, self.plan)
            except (RuntimeError, MemoryError, OSError) as error:
                if not out_of_memory(error):
                    raise
                smaller = self.plan.smaller()
                if smaller is None:
                    raise DeviceMemoryError(str(self.model.device)) from error
            # Only here, outside of the handler, are the tensors of the failed attempt gone.
            self.plan = smaller

    def _collapse(self, makers: Sequence[SinkMaker], plan: Plan) -> list[Tensor]:
        pictures: list[Tensor | None] = [None] * len(makers)
        made_with: dict[int, dict[int, int]] = {}
        # A tile that was filled before some candidate was replaced is filled again.
        while stale := [k for k in range(len(plan.tiles)) if made_with.get(k) != self._redraws.stages()]:
            for k in stale:
                tile = plan.tiles[k]
                for i, result in enumerate(self._filled(tile, makers, plan).results()):
                    pictures[i] = self._placed(result, tile, plan, pictures[i])
                made_with[k] = self._redraws.stages()
        return [picture for picture in pictures if picture is not None]

    def _placed(self, result: Tensor, tile: Tile, plan: Plan, picture: Tensor | None) -> Tensor:
        """The picture with a tile's result at its place."""
        if len(plan.tiles) == 1:
            # Sorted by pixel on the device, the result is only copied.
            return result.movedim(-3, -1).contiguous().cpu().movedim(-1, -3)
        if picture is None:
            height, width = (side * self.model.scale for side in self.lr.shape[1:])
            picture = torch.empty(*result.shape[:-3], height, width, result.shape[-3]).movedim(-1, -3)
        tile.put(result, picture, self.model.scale)
        return picture

    def _filled(self, tile: Tile, makers: Sequence[SinkMaker], plan: Plan) -> Tee:
        """Sinks that have all candidates of one tile."""
        count = max(maker.count for maker in makers)
        chunks = _chunks(count, plan.chunk)
        ahead = _CHUNKS_AHEAD if self.model.device.type == "cuda" else 0
        waiting = deque(self._request(tile, chunk) for chunk in chunks[:ahead])
        work = TileWork(self.model, self.lr, tile)
        tee = Tee(makers, work)
        findings: list[Tensor] = []
        for k, chunk in enumerate(chunks):
            latents = (waiting.popleft() if waiting else self._request(tile, chunk)).get()
            if ahead and k + ahead < len(chunks):
                waiting.append(self._request(tile, chunks[k + ahead]))
            images, found = work.decode([self._redraws.stage(i) for i in chunk], latents)
            findings.append(found)
            tee.add(chunk, images)
            self._advance(len(chunk) / (count * len(plan.tiles)))
        if findings:
            # The one wait for the device: broken candidates were taken as zeros so far.
            for i, row in enumerate(torch.cat(findings).tolist()):
                reason = defects.described(*row)
                if reason is not None:
                    tee.add([i], self._replacement(work, i, reason))
        else:
            self._advance(1 / len(plan.tiles))
        work.finish()
        return tee

    def _request(self, tile: Tile, indices: Sequence[int]) -> PendingLatents:
        draws = [self._redraws.draw(i) for i in indices]
        return self._latents.request(draws, tile.outer_rows, tile.outer_columns)

    def _replacement(self, work: TileWork, index: int, reason: str | None) -> Tensor:
        """``(1, 3, H, W)`` in place of a broken candidate."""
        while reason is not None:
            self._redraws.go_on(index, reason)
            latents = self._request(work.tile, [index]).get()
            image, findings = work.decode([self._redraws.stage(index)], latents)
            reason = defects.described(*findings[0].tolist())
        return image

    def _advance(self, share: float) -> None:
        self._done += share
        if self.progress is not None:
            self.progress(min(1.0, self._done))


def _chunks(count: int, most: int) -> list[list[int]]:
    """The numbers of ``count`` candidates in parts of about the same size, ``most`` at most."""
    parts = math.ceil(count / most)
    edges = [round(k * count / parts) for k in range(parts + 1)] if parts else []
    return [list(range(a, b)) for a, b in pairwise(edges)]
