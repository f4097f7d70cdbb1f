"""Training pairs: tiles kept on the device as uint8, cropped and turned there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from srspace.data.folders import Progress, load_tiles
from srspace.resize import imresize

Damage = Callable[[Tensor], Tensor]
"""Makes ``(B, 3, H / scale, W / scale)`` LR images of ``(B, 3, H, W)`` HR images, both in [0, 1], on their device."""

Change = Callable[[tuple[Tensor, ...]], tuple[Tensor, ...]]
"""Changes drawn images ``(B, 3, ...)``: HR, and LR where it is there, which must keep belonging together."""

_AT_A_TIME = 32


class Pool(Protocol):
    """What a training draws its batches from. No draw waits for the device."""

    @property
    def scale(self) -> int:
        """The upscaling factor of its pairs."""

    @property
    def device(self) -> torch.device:
        """Where it lives."""

    def __len__(self) -> int:
        """How many tiles it holds."""

    def draw(self, count: int, patch: int) -> tuple[Tensor, Tensor]:
        """Random crops with random flips and rotations, the same for HR and LR.

        Args:
            count: B, the number of pairs.
            patch: side of an HR patch; a multiple of the scale.

        Returns:
            ``(B, 3, patch, patch)`` and ``(B, 3, patch / scale, patch / scale)``, float32 in [0, 1], the second
            in steps of 1 / 255.

        Raises:
            ValueError: the patch is not a multiple of the scale, or larger than a tile.
        """


@dataclass(frozen=True)
class Batches:
    """Batches of one size from a pool.

    Attributes:
        pool: the pool.
        size: B, the number of pairs in a batch.
        patch: side of an HR patch, in pixels.
    """

    pool: Pool
    size: int
    patch: int

    def draw(self) -> tuple[Tensor, Tensor]:
        """A batch, see :meth:`Pool.draw`."""
        return self.pool.draw(self.size, self.patch)


@dataclass(frozen=True)
class PatchPool:
    """Tiles of one size.

    Attributes:
        hr: ``(N, 3, S, S)`` uint8.
        lr: ``(N, 3, S / scale, S / scale)`` uint8, made by MATLAB-exact bicubic.
        degraded: like ``lr``, after some damage (None: there is no such version).
        degraded_share: share of the drawn pairs whose LR patch comes from ``degraded``.
    """

    hr: Tensor
    lr: Tensor
    degraded: Tensor | None = None
    degraded_share: float = 0.0

    @classmethod
    def of(cls, hr: Tensor, scale: int) -> PatchPool:
        """A pool of HR tiles ``(N, 3, S, S)`` uint8, with their LR versions."""
        return cls(hr, torch.cat([imresize(part, 1 / scale) for part in hr.split(_AT_A_TIME)]))

    @property
    def scale(self) -> int:
        return self.hr.shape[-1] // self.lr.shape[-1]

    @property
    def device(self) -> torch.device:
        return self.hr.device

    def __len__(self) -> int:
        return self.hr.shape[0]

    def draw(self, count: int, patch: int) -> tuple[Tensor, Tensor]:
        crop = self._place(count, patch)
        lr = crop(self.lr)
        if self.degraded is not None and self.degraded_share > 0:
            chosen = torch.rand(count, 1, 1, 1, device=self.device) < self.degraded_share
            lr = torch.where(chosen, crop(self.degraded), lr)
        return crop(self.hr), lr

    def draw_hr(self, count: int, patch: int) -> Tensor:
        """The HR patches of :meth:`draw` alone."""
        return self._place(count, patch)(self.hr)

    def _place(self, count: int, patch: int) -> Callable[[Tensor], Tensor]:
        """Choose where to crop; what comes back crops any version of the tiles there."""
        device, scale, most = self.device, self.scale, self.lr.shape[-1]
        side = patch // scale
        if patch % scale or side > most:
            raise ValueError(f"a patch must be a multiple of {scale} and at most {self.hr.shape[-1]}, not {patch}")
        index = torch.randint(len(self), (count,), device=device)
        top, left = torch.randint(most - side + 1, (2, count), device=device)
        flip_y, flip_x, transpose = torch.rand(3, count, device=device) < 0.5

        def crop(tiles: Tensor) -> Tensor:
            factor = tiles.shape[-1] // most
            length = side * factor
            steps = torch.arange(length, device=device)
            rows = torch.where(flip_y[:, None], length - 1 - steps, steps) + top[:, None] * factor
            columns = torch.where(flip_x[:, None], length - 1 - steps, steps) + left[:, None] * factor
            channels = torch.arange(3, device=device)[None, :, None, None]
            out = tiles[index[:, None, None, None], channels, rows[:, None, :, None], columns[:, None, None, :]]
            out = torch.where(transpose[:, None, None, None], out.transpose(2, 3), out)
            return out.float() / 255

        return crop


@dataclass(frozen=True)
class Part:
    """One source of a mixed pool.

    Attributes:
        pool: its tiles.
        share: of every batch.
        photographs: whether a further source takes its share from this one's.
    """

    pool: PatchPool
    share: float
    photographs: bool = False


@dataclass(frozen=True)
class MixedPool:
    """Several pools drawn from in fixed shares: photographs at several sizes, rendered pictures.

    Attributes:
        parts: on one device, of one scale; their shares add up to 1.
        changes: applied to drawn images, one after the other.
        damage: makes the LR patches of the changed HR patches, afresh in every batch; without it, they come from the
            tiles' stored LR versions and are changed along.
    """

    parts: tuple[Part, ...]
    changes: tuple[Change, ...] = ()
    damage: Damage | None = None

    @classmethod
    def of(cls, photographs: PatchPool) -> MixedPool:
        """A pool of photographs alone."""
        return cls((Part(photographs, 1.0, photographs=True),))

    @property
    def scale(self) -> int:
        return self.parts[0].pool.scale

    @property
    def device(self) -> torch.device:
        return self.parts[0].pool.device

    def __len__(self) -> int:
        return sum(len(part.pool) for part in self.parts)

    def draw(self, count: int, patch: int) -> tuple[Tensor, Tensor]:
        # Every part gives its share of the batch, rounded.
        edges = [round(count * share) for share in (0.0, *accumulate(part.share for part in self.parts))]
        counts = [b - a for a, b in pairwise(edges)]
        drawn = [(part.pool, n) for part, n in zip(self.parts, counts, strict=True) if n]
        images: tuple[Tensor, ...]
        if self.damage is not None:
            images = (torch.cat([pool.draw_hr(n, patch) for pool, n in drawn]),)
        else:
            hrs, lrs = zip(*(pool.draw(n, patch) for pool, n in drawn), strict=True)
            images = torch.cat(hrs), torch.cat(lrs)
        for change in self.changes:
            images = change(images)
        hr = images[0]
        lr = images[1] if self.damage is None else self.damage(hr)
        return hr, (lr * 255).round() / 255

    def with_source(self, pool: PatchPool, share: float) -> MixedPool:
        """The same with a further source, whose share of a batch the photographs give up.

        Raises:
            ValueError: that leaves nothing to photographs.
        """
        left = sum(part.share for part in self.parts if part.photographs)
        if not 0 <= share < left:
            raise ValueError("nothing of a batch is left for photographs")
        parts = [replace(p, share=p.share * (left - share) / left) if p.photographs else p for p in self.parts]
        return replace(self, parts=(*parts, Part(pool, share)))


def load_pool(
    folder: Path,
    *,
    scale: int,
    tile: int = 480,
    device: torch.device | str = "cpu",
    progress: Progress | None = None,
) -> PatchPool:
    """Cut every picture of a folder into tiles, hold them on the device, and make their LR versions there.

    Args:
        folder: pictures, searched recursively; those smaller than a tile are left out.
        scale: upscaling factor of the pairs.
        tile: side of a tile in pixels; a multiple of the scale.
        device: where the pool lives.
        progress: called with the share done.

    Raises:
        ValueError: the tile is not a multiple of the scale.
        DataError: the folder holds no picture that is large enough, or one that cannot be read.
    """
    if tile % scale:
        raise ValueError(f"the tile side {tile} must be a multiple of the scale {scale}")
    return PatchPool.of(load_tiles(folder, tile, progress=progress).to(device), scale)
