"""Training pairs: photographs kept on the device as uint8 tiles, cropped and augmented there."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from srspace.errors import DataError
from srspace.resize import imresize

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".avif", ".tif", ".tiff", ".bmp"})


@dataclass(frozen=True)
class PatchPool:
    """HR tiles and their LR versions, ready to be cropped from.

    Attributes:
        hr: ``(N, 3, S, S)`` uint8.
        lr: ``(N, 3, S / scale, S / scale)`` uint8, made by MATLAB-exact bicubic.
    """

    hr: Tensor
    lr: Tensor

    @property
    def scale(self) -> int:
        return self.hr.shape[-1] // self.lr.shape[-1]

    def __len__(self) -> int:
        return self.hr.shape[0]

    def draw(self, count: int, patch: int) -> tuple[Tensor, Tensor]:
        """Random crops with random flips and rotations, the same for HR and LR.

        Args:
            count: B, the number of pairs.
            patch: side of an HR patch; a multiple of the scale.

        Returns:
            ``(B, 3, patch, patch)`` and ``(B, 3, patch / scale, patch / scale)``, float32 in [0, 1].
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

        return crop(self.hr, scale), crop(self.lr, 1)


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
    hr = torch.stack(tiles).to(device)
    lr = torch.cat([imresize(part, 1 / scale) for part in hr.split(32)])
    return PatchPool(hr, lr)


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
