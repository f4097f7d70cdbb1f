"""Folders of pictures, read for training: cut into tiles, or one crop from the middle of each."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from srspace.errors import DataError, ImageError
from srspace.images import is_picture_path, read_rgb8
from srspace.resize import imresize

Progress = Callable[[float], None]


def find_pictures(folder: Path) -> list[Path]:
    """Pictures below ``folder``, sorted.

    Raises:
        DataError: the folder does not exist or holds none.
    """
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder.")
    paths = sorted(path for path in folder.rglob("*") if is_picture_path(path) and path.is_file())
    if not paths:
        raise DataError(f"{folder} holds no pictures.")
    return paths


def load_tiles(folder: Path, side: int, *, progress: Progress | None = None) -> Tensor:
    """Cut every picture of a folder, searched recursively, into square tiles that do not overlap.

    Args:
        folder: the pictures; those smaller than a tile are left out.
        side: S, of a tile, in pixels.
        progress: called with the share done.

    Returns:
        ``(N, 3, S, S)`` uint8 on the CPU.

    Raises:
        DataError: the folder holds no picture that is large enough, or one that cannot be read.
    """

    def tiles(picture: NDArray[np.uint8]) -> list[Tensor]:
        rows, columns = (range(0, length - side + 1, side) for length in picture.shape[:2])
        cut = [picture[top : top + side, left : left + side] for top in rows for left in columns]
        return [torch.from_numpy(part.copy()).permute(2, 0, 1) for part in cut]

    found = [tile for part in _each(find_pictures(folder), tiles, progress) for tile in part]
    if not found:
        raise DataError(f"{folder} holds no picture of at least {side}x{side} pixels.")
    return torch.stack(found)


def centre_crops(
    folder: Path,
    *,
    side: int,
    scale: int,
    count: int | None = None,
    device: torch.device | str = "cpu",
    progress: Progress | None = None,
) -> tuple[Tensor, Tensor]:
    """One crop from the middle of each picture of a folder, with its LR version.

    Args:
        folder: the pictures, searched recursively; those smaller than a crop are left out.
        side: S, of a crop, in pixels; a multiple of the scale.
        scale: the upscaling factor.
        count: take so many of the pictures, the same ones every time (None: all).
        device: where the crops go.
        progress: called with the share done.

    Returns:
        ``(B, 3, S, S)`` and ``(B, 3, S / scale, S / scale)``, float32 in [0, 1].

    Raises:
        DataError: the folder holds no picture that is large enough, or one that cannot be read.
    """

    def crop(picture: NDArray[np.uint8]) -> list[Tensor]:
        top, left = ((length - side) // 2 for length in picture.shape[:2])
        if min(top, left) < 0:
            return []
        return [torch.from_numpy(picture[top : top + side, left : left + side].copy()).permute(2, 0, 1)]

    paths = find_pictures(folder)
    if count is not None and count < len(paths):
        paths = random.Random(0).sample(paths, count)
    crops = [crop for part in _each(paths, crop, progress) for crop in part]
    if not crops:
        raise DataError(f"{folder} holds no picture of at least {side}x{side} pixels.")
    hr = torch.stack(crops)
    return hr.to(device).float() / 255, imresize(hr, 1 / scale).to(device).float() / 255


def _each(
    paths: Sequence[Path], work: Callable[[NDArray[np.uint8]], list[Tensor]], progress: Progress | None
) -> Iterator[list[Tensor]]:
    """What ``work`` makes of each picture, in order; several are decoded at a time."""

    def one(path: Path) -> list[Tensor]:
        try:
            return work(read_rgb8(path))
        except ImageError as error:
            raise DataError(str(error)) from error

    executor = ThreadPoolExecutor()
    try:
        for i, result in enumerate(executor.map(one, paths)):
            yield result
            if progress is not None:
                progress((i + 1) / len(paths))
    finally:
        executor.shutdown(cancel_futures=True)
