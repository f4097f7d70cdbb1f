"""The loop over an image: tile by tile, candidates are decoded, checked, and handed to sinks."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from itertools import cycle, islice, pairwise
from threading import Event, Lock
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor

from srspace.config import SamplingConfig
from srspace.devices import give_back_freed_memory, memory_cap, out_of_memory
from srspace.errors import DeviceMemoryError
from srspace.models import replay
from srspace.models.inference import CandidateModel
from srspace.modes import SinkMaker
from srspace.sampling import defects
from srspace.sampling.latents import Latents, PendingLatents
from srspace.sampling.plan import Plan
from srspace.sampling.redraws import Redraw, Redraws
from srspace.sampling.side_by_side import in_order
from srspace.sampling.tee import Tee
from srspace.sampling.tiles import Tile
from srspace.sampling.work import TileWork
from srspace.tf32 import exact_float32

_CHUNKS_AHEAD = 3

T = TypeVar("T")


class Station(NamedTuple):
    """A model on its device, and what makes the sinks there."""

    model: CandidateModel
    makers: Sequence[SinkMaker]


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
        self._shapes, self._size = shapes, (height, width)
        self._redraws = redraws or [Redraws.of(sampling) for _ in lrs]
        self._done = 0.0
        self._lock = Lock()

    @property
    def redraws(self) -> list[list[Redraw]]:
        """For each image the candidates replaced so far, by index."""
        return [redraws.reports() for redraws in self._redraws]

    def collapse_all(self, makers: Sequence[SinkMaker], beside: Sequence[Station] = ()) -> list[list[Tensor]]:
        """Make several pictures of the same candidates of each image, each of which is drawn once.

        Stations on other devices take tiles or, where there are fewer tiles than devices, candidates of a tile. Pixels
        are those of one device: what is computed at a time, the order in which sinks get it, and what is replaced are
        the same.

        Where the device runs out of memory, which others may use, too, the work goes on without other devices, then
        with fewer images at a time, then with smaller tiles.

        Args:
            makers: what makes a sink for each tile, as :meth:`srspace.modes.Mode.sink` returns it. Each takes the first
                few candidates; as many are drawn as one of them takes.
            beside: the same model on devices of the same kind, with the same makers.

        Returns:
            For each image, for each maker, ``(3, scale * h, scale * w)`` float32 on the CPU, channels last in memory.

        Raises:
            MemoryLimitError: the memory limit does not even hold the results.
            DeviceMemoryError: the device runs out of memory, even by the smallest tiles.
        """
        height, width = self.lrs[0].shape[1:]
        self.plan = Plan.make(self.model, height, width, self.sampling, makers, len(self.lrs))
        stations = [Station(self.model, makers), *beside]
        pictures: list[list[Tensor]] = []
        while (first := len(pictures)) < len(self.lrs):
            self._done = first
            numbers = range(first, min(first + self.plan.images, len(self.lrs)))
            try:
                with ExitStack() as capped, exact_float32():
                    for station in stations:
                        capped.enter_context(memory_cap(station.model.device, self.sampling.max_memory))
                    pictures += self._collapse(numbers, stations, self.plan)
                continue
            except (RuntimeError, MemoryError, OSError) as error:
                if not out_of_memory(error):
                    raise
                kept = [replay.forget(station.model.device) for station in stations]
                smaller = self.plan if any(kept) or len(stations) > 1 else self.plan.smaller()
                if smaller is None:
                    raise DeviceMemoryError(str(self.model.device)) from error
            # Only here, outside of the handler, are the tensors of the failed attempt gone.
            self.plan, stations = smaller, stations[:1]
        return pictures

    def _collapse(self, numbers: Sequence[int], stations: Sequence[Station], plan: Plan) -> list[list[Tensor]]:
        pictures: dict[tuple[int, int], Tensor] = {}
        made_with: dict[tuple[int, int], dict[int, int]] = {}

        def stale(k: int) -> list[int]:
            return [n for n in numbers if made_with.get((k, n)) != self._redraws[n].stages()]

        # A tile that was filled before some candidate was replaced is filled again.
        while todo := [(k, those) for k in range(len(plan.tiles)) if (those := stale(k))]:
            for part in self._in_turn(todo, stations, plan, pictures):
                for n, redraws in part.redraws.items():
                    made_with[part.tile, n] = redraws.stages()
        return [[pictures[n, i] for i in range(len(stations[0].makers))] for n in numbers]

    def _in_turn(
        self,
        todo: Sequence[tuple[int, list[int]]],
        stations: Sequence[Station],
        plan: Plan,
        pictures: dict[tuple[int, int], Tensor],
    ) -> Iterator[_Part]:
        """Fill tiles, some at a time, with the replacements that there are when they are filled one by one."""
        count = min(len(stations), len(todo))
        teams = [stations[k::count] for k in range(count)]
        done = 0
        while done < len(todo):
            over = Event()
            fills = [partial(self._fill, team, plan, pictures, over) for team in teams]
            begun = (_Part(k, {n: self._redraws[n].copy() for n in those}) for k, those in todo[done:])
            with in_order(fills, begun, over) as filled:
                for part in filled:
                    done += 1
                    replaced = [self._redraws[n].take(redraws) for n, redraws in part.redraws.items()]
                    yield part
                    if any(replaced):
                        break  # the tiles begun meanwhile do not know of it

    @torch.no_grad()
    def _fill(
        self, team: Sequence[Station], plan: Plan, pictures: dict[tuple[int, int], Tensor], over: Event, part: _Part
    ) -> _Part:
        """Fill one tile of the pictures."""
        tile, device = plan.tiles[part.tile], team[0].model.device
        lr, tees = self._filled(team, tile, part.redraws, plan, over)
        for i, results in enumerate(zip(*(tee.results() for tee in tees), strict=True)):
            if len(plan.tiles) > 1:
                for n, result in zip(part.redraws, results, strict=True):
                    self._place(result, tile, pictures, (n, i))
                continue
            images = _by_pixel(results)
            copies = _copied(images)
            if i == 0 and self._measure is not None:
                self.measured |= zip(part.redraws, self._measure(images, lr).tolist(), strict=True)
            if device.type == "cuda":
                torch.cuda.current_stream(device).synchronize()
            pictures |= {(n, i): image for n, image in zip(part.redraws, copies, strict=True)}
        if self.sampling.max_memory is not None:
            give_back_freed_memory(device)
        return part

    def _place(self, result: Tensor, tile: Tile, pictures: dict[tuple[int, int], Tensor], key: tuple[int, int]) -> None:
        """Put a tile's result to its place in the picture."""
        with self._lock:
            if key not in pictures:
                height, width = (side * self.model.scale for side in self.lrs[0].shape[1:])
                pictures[key] = torch.empty(*result.shape[:-3], height, width, result.shape[-3]).movedim(-1, -3)
        tile.put(result, pictures[key], self.model.scale)

    def _filled(
        self, team: Sequence[Station], tile: Tile, redraws: Mapping[int, Redraws], plan: Plan, over: Event
    ) -> tuple[Tensor, list[Tee]]:
        """One tile of the images, on the first station's device, and for each image its sinks with all candidates."""
        device, makers = team[0].model.device, team[0].makers
        known = list(redraws.values())
        count = max(maker.count for maker in makers)
        chunks = _chunks(count, plan.chunk)
        team = team[: max(1, len(chunks))]
        requests = (
            (chunk, self._request(tile, known, chunk, station.model.device))
            for chunk, station in zip(chunks, cycle(team), strict=False)
        )
        requested = _made_ahead(requests, _CHUNKS_AHEAD * len(team) if device.type == "cuda" else 0)
        lrs, once = [self.lrs[n] for n in redraws], len(chunks) <= len(team)
        works = [TileWork(station.model, lrs, tile, once=once) for station in team]
        tees = [Tee(makers, works[0].inputs(owner)) for owner in range(len(known))]
        findings: list[Tensor] = []
        with in_order([partial(self._decoded, work, known) for work in works], requested) as decoded:
            for chunk, images, found in decoded:
                findings.append(found.to(device).unflatten(0, (len(known), len(chunk))))
                for tee, own in zip(tees, images.to(device).split(len(chunk)), strict=True):
                    tee.add(chunk, own)
                self._advance(len(known) * len(chunk) / (count * len(plan.tiles)), over)
        if findings:
            # The one wait for the device: broken candidates were taken as zeros so far.
            for owner, rows in enumerate(torch.cat(findings, 1).tolist()):
                for i, row in enumerate(rows):
                    reason = defects.described(*row)
                    if reason is not None:
                        tees[owner].add([i], self._replacement(works[0], owner, known[owner], i, reason))
        else:
            self._advance(len(known) / len(plan.tiles), over)
        for work in works:
            work.finish()
        return works[0].lr, tees

    @torch.no_grad()
    def _decoded(
        self, work: TileWork, redraws: Sequence[Redraws], requested: tuple[list[int], _Requested]
    ) -> tuple[list[int], Tensor, Tensor]:
        """Some candidates of all images, and what was found."""
        chunk, latents = requested
        owners = [owner for owner in range(len(redraws)) for _ in chunk]
        stages = [known.stage(i) for known in redraws for i in chunk]
        return (chunk, *work.decode(owners, stages, latents.get()))

    def _request(
        self, tile: Tile, redraws: Sequence[Redraws], indices: Sequence[int], device: torch.device
    ) -> _Requested:
        draws = [known.draw(i) for known in redraws for i in indices]
        different = list(dict.fromkeys(draws))  # the images' latents are the same
        latents = Latents(self._shapes, self._size, seed=self.sampling.seed, device=device)
        pending = latents.request(different, tile.outer_rows, tile.outer_columns)
        return _Requested(pending, [different.index(draw) for draw in draws] if len(different) < len(draws) else None)

    def _replacement(self, work: TileWork, owner: int, redraws: Redraws, index: int, reason: str | None) -> Tensor:
        """``(1, 3, H, W)`` in place of a broken candidate."""
        while reason is not None:
            redraws.go_on(index, reason)
            latents = self._request(work.tile, [redraws], [index], work.model.device).get()
            image, findings = work.decode([owner], [redraws.stage(index)], latents)
            reason = defects.described(*findings[0].tolist())
        return image

    def _advance(self, share: float, over: Event) -> None:
        if over.is_set():
            raise _OverError
        with self._lock:
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

    def collapse_all(self, makers: Sequence[SinkMaker], beside: Sequence[Station] = ()) -> list[Tensor]:
        """A picture for each maker, as :meth:`GroupSampler.collapse_all` returns it.

        Raises:
            ResourceError: see there.
        """
        return self._group.collapse_all(makers, beside)[0]


class _Part(NamedTuple):
    """A tile that is filled, and the replaced candidates of each of its images: when it was begun, then at its end."""

    tile: int
    redraws: dict[int, Redraws]


class _OverError(Exception):
    """Nobody will take the tile."""


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


def _copied(images: Tensor) -> Tensor:
    """Copies on the CPU; a CUDA device is to be waited for before they are read.

    Several are copied to pinned memory, which is used again and again: fresh memory has to be touched page by page.
    """
    if images.device.type != "cuda" or len(images) == 1:
        return images.cpu()
    return torch.empty_like(images, device="cpu", pin_memory=True).copy_(images, non_blocking=True)


def _chunks(count: int, most: int) -> list[list[int]]:
    """The numbers of ``count`` candidates in parts of about the same size, ``most`` at most."""
    parts = math.ceil(count / most)
    edges = [round(k * count / parts) for k in range(parts + 1)] if parts else []
    return [list(range(a, b)) for a, b in pairwise(edges)]


def _made_ahead(items: Iterator[T], count: int) -> Iterator[T]:
    """The items, ``count`` of which are made before they are asked for: the first ones at once."""
    made = deque(islice(items, count))

    def taken() -> Iterator[T]:
        for item in items:
            made.append(item)
            yield made.popleft()
        while made:
            yield made.popleft()

    return taken()
