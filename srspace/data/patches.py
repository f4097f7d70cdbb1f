"""Training pairs: photographs kept on the device as uint8 tiles, cropped and augmented there."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from srspace.data.render import render_tiles
from srspace.errors import DataError
from srspace.resize import imresize

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".avif", ".tif", ".tiff", ".bmp"})
_JPEG_QUALITY = (60, 96)
_LR_NOISE = 6.0
_STRETCHED_TILES = 256


@dataclass(frozen=True)
class PatchPool:
    """HR tiles and their LR versions, ready to be cropped from.

    Attributes:
        hr: ``(N, 3, S, S)`` uint8.
        lr: ``(N, 3, S / scale, S / scale)`` uint8, made by MATLAB-exact bicubic.
        degraded: like ``lr``, after JPEG compression or noise (None: there is no such version).
        degraded_share: share of the drawn pairs whose LR patch comes from ``degraded``.
        permuted_share: share of the drawn pairs with red, green and blue in a random order.
    """

    hr: Tensor
    lr: Tensor
    degraded: Tensor | None = None
    degraded_share: float = 0.0
    permuted_share: float = 0.0

    @property
    def scale(self) -> int:
        return self.hr.shape[-1] // self.lr.shape[-1]

    @property
    def device(self) -> torch.device:
        return self.hr.device

    def __len__(self) -> int:
        return self.hr.shape[0]

    def draw(self, count: int, patch: int) -> tuple[Tensor, Tensor]:
        """Random crops with random flips and rotations, the same for HR and LR.

        Args:
            count: B, the number of pairs.
            patch: side of an HR patch; a multiple of the scale.

        Returns:
            ``(B, 3, patch, patch)`` and ``(B, 3, patch / scale, patch / scale)``, float32 in [0, 1].

        Raises:
            ValueError: the patch is not a multiple of the scale, or larger than a tile.
        """
        device, scale = self.hr.device, self.scale
        side = patch // scale
        if patch % scale or side > self.lr.shape[-1]:
            raise ValueError(f"a patch must be a multiple of {scale} and at most {self.hr.shape[-1]}, not {patch}")
        index = torch.randint(len(self), (count,), device=device)
        top, left = torch.randint(self.lr.shape[-1] - side + 1, (2, count), device=device)
        flip_y, flip_x, transpose = torch.rand(3, count, device=device) < 0.5

        def crop(tiles: Tensor, factor: int) -> Tensor:
            length = side * factor
            steps = torch.arange(length, device=device)
            rows = torch.where(flip_y[:, None], length - 1 - steps, steps) + top[:, None] * factor
            columns = torch.where(flip_x[:, None], length - 1 - steps, steps) + left[:, None] * factor
            channels = torch.arange(3, device=device)[None, :, None, None]
            out = tiles[index[:, None, None, None], channels, rows[:, None, :, None], columns[:, None, None, :]]
            out = torch.where(transpose[:, None, None, None], out.transpose(2, 3), out)
            return out.float() / 255

        hr, lr = crop(self.hr, scale), crop(self.lr, 1)
        if self.degraded is not None and self.degraded_share > 0:
            chosen = torch.rand(count, device=device) < self.degraded_share
            lr = torch.where(chosen[:, None, None, None], crop(self.degraded, 1), lr)
        return permuted_channels(hr, lr, self.permuted_share) if self.permuted_share > 0 else (hr, lr)


@dataclass(frozen=True)
class MixedPool:
    """Several pools drawn from in fixed shares: the photographs at several sizes, rendered pictures.

    Attributes:
        pools: on one device, of one scale.
        shares: of every batch; they add up to 1.
        blended_share: share of the drawn pairs that are blended with another pair of the batch.
    """

    pools: tuple[PatchPool, ...]
    shares: tuple[float, ...]
    blended_share: float = 0.0

    @property
    def scale(self) -> int:
        return self.pools[0].scale

    @property
    def device(self) -> torch.device:
        return self.pools[0].device

    def __len__(self) -> int:
        return sum(len(pool) for pool in self.pools)

    def draw(self, count: int, patch: int) -> tuple[Tensor, Tensor]:
        """As :meth:`PatchPool.draw`; every pool gives its share of the batch, rounded."""
        edges = [round(count * float(share)) for share in np.cumsum((0.0, *self.shares))]
        counts = [b - a for a, b in pairwise(edges)]
        drawn = [pool.draw(n, patch) for pool, n in zip(self.pools, counts, strict=True) if n]
        hr, lr = torch.cat([hr for hr, _ in drawn]), torch.cat([lr for _, lr in drawn])
        return blended(hr, lr, self.blended_share) if self.blended_share > 0 else (hr, lr)


Pool = PatchPool | MixedPool


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


def permuted_channels(hr: Tensor, lr: Tensor, share: float = 1.0) -> tuple[Tensor, Tensor]:
    """The same pairs, ``(B, 3, ...)`` each, a share of them with red, green and blue in a random order of their own."""
    chosen = torch.rand(hr.shape[0], 1, device=hr.device) < share
    order = torch.rand(hr.shape[0], 3, device=hr.device).argsort(1)
    order = torch.where(chosen, order, torch.arange(3, device=hr.device))
    rows = torch.arange(hr.shape[0], device=hr.device)[:, None]
    return hr[rows, order], lr[rows, order]


def blended(hr: Tensor, lr: Tensor, share: float = 1.0) -> tuple[Tensor, Tensor]:
    """The same pairs, a share of them blended with another one of the batch (mixup, Zhang et al., 2018).

    Bicubic reduction is linear: the blend of two LR patches belongs to that of their originals.

    Args:
        hr: ``(B, 3, H, W)`` in [0, 1].
        lr: its LR version; what comes back is rounded to 8 bits again.
        share: of the pairs.
    """
    count, device = hr.shape[0], hr.device
    chosen, weight = torch.rand(2, count, 1, 1, 1, device=device)
    weight = torch.where(chosen < share, weight, 1)
    other = torch.rand(count, device=device).argsort()
    hr, lr = (weight * x + (1 - weight) * x[other] for x in (hr, lr))
    return hr, (lr * 255).round() / 255


def load_pool(
    folder: Path,
    *,
    scale: int,
    device: torch.device | str = "cpu",
    tile: int = 480,
    limit: int | None = None,
    progress: Callable[[float], None] | None = None,
) -> PatchPool:
    """Cut every picture of a folder into tiles, hold them on the device, and make their LR versions there.

    Args:
        folder: pictures, searched recursively.
        scale: upscaling factor of the pairs.
        device: where the pool lives.
        tile: side of a tile in pixels; smaller pictures are left out.
        limit: use at most so many pictures.
        progress: called with the share done.

    Raises:
        DataError: the folder holds no picture that is large enough, or one that cannot be read.
    """
    if tile % scale:
        raise ValueError(f"the tile side {tile} must be a multiple of the scale {scale}")
    paths = find_pictures(folder)[:limit]
    tiles: list[Tensor] = []
    with ThreadPoolExecutor() as executor:
        for i, picture in enumerate(executor.map(read_rgb, paths)):
            for top in range(0, picture.shape[0] - tile + 1, tile):
                for left in range(0, picture.shape[1] - tile + 1, tile):
                    cut = picture[top : top + tile, left : left + tile]
                    tiles.append(torch.from_numpy(cut.copy()).permute(2, 0, 1))
            if progress is not None:
                progress((i + 1) / len(paths))
    if not tiles:
        raise DataError(f"{folder} holds no picture of at least {tile}x{tile} pixels.")
    return pool_of(torch.stack(tiles).to(device), scale)


def pool_of(hr: Tensor, scale: int) -> PatchPool:
    """A pool of HR tiles ``(N, 3, S, S)`` uint8, with their LR versions."""
    return PatchPool(hr, torch.cat([imresize(part, 1 / scale) for part in hr.split(32)]))


def mixed_pool(
    base: PatchPool,
    *,
    reductions: Sequence[float] = (),
    reduced_share: float = 0.5,
    rendered: int = 0,
    rendered_share: float = 0.0,
    stretched_share: float = 0.0,
    degraded_share: float = 0.0,
    permuted_share: float = 0.0,
    blended_share: float = 0.0,
    seed: int = 0,
) -> Pool:
    """Widen what training sees: smaller sizes, rendered pictures, harsh contrast, degraded LR, other colours, blends.

    Args:
        base: tiles at their full size.
        reductions: further sizes, as factors below 1.
        reduced_share: what they give together of the photographs in a batch.
        rendered: number of rendered tiles (see :func:`srspace.data.render.render_tiles`).
        rendered_share: their share of a batch.
        stretched_share: share of a batch that comes from photographs of stretched contrast (see :func:`stretch`).
        degraded_share: share of pairs whose LR patch has been compressed as JPEG or has noise added.
        permuted_share: share of pairs with their colour channels in a random order.
        blended_share: share of pairs blended with another one of the batch (see :func:`blended`).
        seed: of rendering and degradation.

    Raises:
        ValueError: a reduction does not lie between 0 and 1, the shares do not either, or they leave nothing of a
            batch to photographs.
    """
    if any(not 0 < r < 1 for r in reductions) or any(
        not 0 <= share < 1 for share in (reduced_share, rendered_share, stretched_share, degraded_share)
    ):
        raise ValueError("reductions must lie between 0 and 1, shares in [0, 1)")
    if not (0 <= permuted_share <= 1 and 0 <= blended_share <= 1):
        raise ValueError("the shares of permuted and of blended pairs must lie in [0, 1]")
    scale, side = base.scale, base.hr.shape[-1]
    photographs = 1.0 - (rendered_share if rendered else 0.0) - stretched_share
    if photographs <= 0:
        raise ValueError("nothing of a batch is left for photographs")
    pools = [base]
    shares = [photographs * (1 - reduced_share) if reductions else photographs]
    for reduction in reductions:
        reduced = int(side * reduction) // scale * scale
        pools.append(pool_of(torch.cat([imresize(x, size=(reduced, reduced)) for x in base.hr.split(32)]), scale))
        shares.append(photographs * reduced_share / len(reductions))
    if rendered and rendered_share:
        pools.append(pool_of(render_tiles(rendered, side, seed=seed).to(base.device), scale))
        shares.append(rendered_share)
    if stretched_share:
        pools.append(pool_of(stretch(base.hr[:: -(-len(base) // _STRETCHED_TILES)], seed=seed), scale))
        shares.append(stretched_share)
    if degraded_share:
        pools = [
            PatchPool(p.hr, p.lr, degrade(p.lr, seed=seed + i).to(base.device), degraded_share)
            for i, p in enumerate(pools)
        ]
    if permuted_share:
        pools = [replace(p, permuted_share=permuted_share) for p in pools]
    plain = len(pools) == 1 and not blended_share
    return pools[0] if plain else MixedPool(tuple(pools), tuple(shares), blended_share)


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

    def one(i: int) -> np.ndarray:
        if i % 2:
            noisy = arrays[i] + np.random.default_rng(seeds[i]).normal(0, sigmas[i], arrays[i].shape)
            rounded: np.ndarray = np.clip(np.rint(noisy), 0, 255).astype(np.uint8)
            return rounded
        buffer = io.BytesIO()
        Image.fromarray(arrays[i]).save(buffer, "JPEG", quality=int(qualities[i]))
        return np.asarray(Image.open(buffer))

    with ThreadPoolExecutor() as executor:
        out = np.stack(list(executor.map(one, range(len(arrays)))))
    return torch.from_numpy(out).permute(0, 3, 1, 2).contiguous()


def find_pictures(folder: Path) -> list[Path]:
    """Pictures below ``folder``, sorted.

    Raises:
        DataError: the folder does not exist or holds none.
    """
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder.")
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and not p.name.startswith("."))
    if not paths:
        raise DataError(f"{folder} holds no pictures.")
    return paths


def read_rgb(path: Path) -> np.ndarray:
    """``(H, W, 3)`` uint8.

    Raises:
        DataError: the file is not a picture that can be read.
    """
    try:
        with Image.open(path) as image:
            return np.asarray(image.convert("RGB"))
    except (OSError, UnidentifiedImageError, ValueError) as error:
        raise DataError(f"{path} is not a picture that can be read.") from error


def centre_crops(paths: Iterable[Path], *, side: int, scale: int, device: torch.device | str) -> tuple[Tensor, Tensor]:
    """One central HR crop per picture, with its LR version, for validation.

    Returns:
        ``(B, 3, side, side)`` and ``(B, 3, side / scale, side / scale)``, float32 in [0, 1].

    Raises:
        DataError: no picture is large enough.
    """
    crops = []
    for path in paths:
        picture = read_rgb(path)
        if min(picture.shape[:2]) >= side:
            top, left = (picture.shape[0] - side) // 2, (picture.shape[1] - side) // 2
            crops.append(torch.from_numpy(picture[top : top + side, left : left + side].copy()).permute(2, 0, 1))
    if not crops:
        raise DataError(f"no validation picture has {side}x{side} pixels.")
    hr = torch.stack(crops)
    return hr.to(device).float() / 255, imresize(hr, 1 / scale).to(device).float() / 255
