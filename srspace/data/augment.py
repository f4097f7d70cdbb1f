"""Ways to widen what a training sees. Each is an object that makes a wider pool of a pool."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from srspace.data.pools import MixedPool, Part, PatchPool
from srspace.data.render import render_tiles
from srspace.resize import imresize

Augmentation = Callable[[MixedPool], MixedPool]

_JPEG_QUALITY = (60, 96)
_LR_NOISE = 6.0
_STRETCHED_TILES = 256
_AT_A_TIME = 32


def augmented(photographs: PatchPool, augmentations: Iterable[Augmentation]) -> MixedPool:
    """A pool of photographs, widened by each augmentation in turn."""
    pool = MixedPool.of(photographs)
    for augmentation in augmentations:
        pool = augmentation(pool)
    return pool


@dataclass(frozen=True)
class Reduced:
    """The photographs at smaller sizes, too: what a picture shows comes at any size.

    Attributes:
        factors: of the sides, between 0 and 1.
        share: what all reduced versions together get of the photographs' share, in [0, 1).
    """

    factors: tuple[float, ...]
    share: float = 0.5

    def __post_init__(self) -> None:
        if not all(0 < factor < 1 for factor in self.factors) or not 0 <= self.share < 1:
            raise ValueError("reductions must lie between 0 and 1, their share in [0, 1)")

    def __call__(self, pool: MixedPool) -> MixedPool:
        parts: list[Part] = []
        for part in pool.parts:
            if not part.photographs or not self.factors:
                parts.append(part)
                continue
            parts.append(replace(part, share=part.share * (1 - self.share)))
            each = part.share * self.share / len(self.factors)
            parts += [Part(_reduced(part.pool, factor), each, photographs=True) for factor in self.factors]
        return replace(pool, parts=tuple(parts))


@dataclass(frozen=True)
class Rendered:
    """Rendered text, line art, screens and pixel art, see :func:`srspace.data.render.render_tiles`.

    Attributes:
        count: number of tiles, of the size of the pool's own.
        share: of every batch.
        seed: of the pictures.
    """

    count: int
    share: float
    seed: int = 0

    def __call__(self, pool: MixedPool) -> MixedPool:
        base = pool.parts[0].pool
        tiles = render_tiles(self.count, base.hr.shape[-1], seed=self.seed)
        return pool.with_source(PatchPool.of(tiles.to(base.device), base.scale), self.share)


@dataclass(frozen=True)
class Stretched:
    """Photographs of harsh contrast, see :func:`stretch`.

    Attributes:
        share: of every batch.
        seed: of the contrasts.
    """

    share: float
    seed: int = 0

    def __call__(self, pool: MixedPool) -> MixedPool:
        base = pool.parts[0].pool
        some = base.hr[:: -(-len(base) // _STRETCHED_TILES)]
        return pool.with_source(PatchPool.of(stretch(some, seed=self.seed), base.scale), self.share)


@dataclass(frozen=True)
class Degraded:
    """Some LR patches with JPEG artifacts or noise, see :func:`degrade`; they are made once.

    Attributes:
        share: of the pairs.
        seed: of the damage.
    """

    share: float
    seed: int = 0

    def __call__(self, pool: MixedPool) -> MixedPool:
        parts = []
        for i, part in enumerate(pool.parts):
            worse = degrade(part.pool.lr, seed=self.seed + i).to(part.pool.device)
            parts.append(replace(part, pool=replace(part.pool, degraded=worse, degraded_share=self.share)))
        return replace(pool, parts=tuple(parts))


@dataclass(frozen=True)
class Permuted:
    """Some pairs with red, green and blue in a random order, so that less is learnt by heart.

    Attributes:
        share: of the pairs, in [0, 1].
    """

    share: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1:
            raise ValueError("the share of permuted pairs must lie in [0, 1]")

    def __call__(self, pool: MixedPool) -> MixedPool:
        return replace(pool, changes=(*pool.changes, self.change))

    def change(self, images: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Permute a share of the images ``(B, 3, ...)``, each in its own way, in all versions alike."""
        count, device = images[0].shape[0], images[0].device
        chosen = torch.rand(count, 1, device=device) < self.share
        order = torch.rand(count, 3, device=device).argsort(1)
        order = torch.where(chosen, order, torch.arange(3, device=device))
        rows = torch.arange(count, device=device)[:, None]
        return tuple(image[rows, order] for image in images)


@dataclass(frozen=True)
class Blended:
    """Some pairs blended with another one of the batch: mixup (Zhang et al., 2018, arXiv 1710.09412).

    Bicubic reduction is linear: the blend of two LR patches belongs to that of their originals.

    Attributes:
        share: of the pairs, in [0, 1].
    """

    share: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1:
            raise ValueError("the share of blended pairs must lie in [0, 1]")

    def __call__(self, pool: MixedPool) -> MixedPool:
        return replace(pool, changes=(*pool.changes, self.change))

    def change(self, images: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Blend a share of the images ``(B, 3, ...)`` with others, in all versions alike."""
        count, device = images[0].shape[0], images[0].device
        chosen, weight = torch.rand(2, count, 1, 1, 1, device=device)
        weight = torch.where(chosen < self.share, weight, 1)
        other = torch.rand(count, device=device).argsort()
        return tuple(weight * image + (1 - weight) * image[other] for image in images)


def oriented(images: Tensor, masks: Sequence[Tensor], *, back: bool = False) -> Tensor:
    """Square images flipped and turned, each in its own way.

    Args:
        images: ``(B, ..., S, S)``.
        masks: three of ``(B,)``, boolean: which to mirror left to right, which upside down, which to transpose then.
        back: undo it.
    """
    changes = (lambda x: x.flip(-1), lambda x: x.flip(-2), lambda x: x.transpose(-1, -2))
    steps = list(zip(masks, changes, strict=True))
    for mask, change in reversed(steps) if back else steps:
        images = torch.where(mask.view(-1, *(1,) * (images.ndim - 1)), change(images), images)
    return images


def stretch(images: Tensor, *, seed: int = 0) -> Tensor:
    """Contrast 1.5 to 4 times as high, about a grey near the image's own mean, clipped at both ends.

    Args:
        images: ``(N, 3, H, W)`` uint8.
        seed: of the factors.

    Returns:
        The same shape, uint8, on the same device.
    """
    rng = np.random.default_rng(seed)
    factors, offsets = rng.uniform(1.5, 4, len(images)), rng.normal(0, 30, len(images))
    out = torch.empty_like(images)
    for i, image in enumerate(images):
        values = image.float()
        middle = values.mean()
        out[i] = ((values - middle) * factors[i] + middle + offsets[i]).round().clamp(0, 255).to(torch.uint8)
    return out


def degrade(images: Tensor, *, seed: int = 0) -> Tensor:
    """Every other image compressed as JPEG at a random quality of 60 to 95, the rest with Gaussian noise.

    Args:
        images: ``(N, 3, h, w)`` uint8.
        seed: of qualities and noise.

    Returns:
        The same shape, uint8, on the CPU.
    """
    rng = np.random.default_rng(seed)
    qualities = rng.integers(*_JPEG_QUALITY, images.shape[0])
    sigmas = rng.uniform(0.5, _LR_NOISE, images.shape[0])
    seeds = rng.integers(0, 2**31, images.shape[0])
    arrays = images.permute(0, 2, 3, 1).cpu().numpy()

    def one(i: int) -> NDArray[np.uint8]:
        if i % 2:
            noisy = arrays[i] + np.random.default_rng(seeds[i]).normal(0, sigmas[i], arrays[i].shape)
            rounded: NDArray[np.uint8] = np.clip(np.rint(noisy), 0, 255).astype(np.uint8)
            return rounded
        buffer = io.BytesIO()
        Image.fromarray(arrays[i]).save(buffer, "JPEG", quality=int(qualities[i]))
        return np.asarray(Image.open(buffer))

    with ThreadPoolExecutor() as executor:
        out = np.stack(list(executor.map(one, range(len(arrays)))))
    return torch.from_numpy(out).permute(0, 3, 1, 2).contiguous()


def _reduced(pool: PatchPool, factor: float) -> PatchPool:
    side = int(pool.hr.shape[-1] * factor) // pool.scale * pool.scale
    parts = [imresize(part, size=(side, side)) for part in pool.hr.split(_AT_A_TIME)]
    return PatchPool.of(torch.cat(parts), pool.scale)
