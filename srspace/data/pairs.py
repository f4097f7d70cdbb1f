"""HR and LR images that belong together: finding them in folders, matching their names, loading them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from srspace.errors import DataError, ImageError, SeveralLrFoldersError
from srspace.images import is_picture_path, read_rgb8
from srspace.resize import imresize

_HR_FOLDER = re.compile(r"(^|[_-])(hr|gt)([_-]?mod\d+)?$|^(original|gtmod\d+)$", re.IGNORECASE)
_LR_FOLDER = re.compile(r"(^|[_-])lr", re.IGNORECASE)
_LR_MARK = re.compile(r"[_-]lr([_-]|x|$)", re.IGNORECASE)
_HR_SUFFIX = re.compile(r"[_-](hr|gt)$", re.IGNORECASE)


@dataclass(frozen=True)
class Pair:
    """One image of a data set.

    Attributes:
        name: its stem without ``_HR`` or the like.
        hr: the reference.
        lr: the input, or None where it is to be made from ``hr``.
    """

    name: str
    hr: Path
    lr: Path | None

    def load(self, scale: int) -> tuple[Tensor, Tensor]:
        """Both images, of matching sizes.

        An HR image whose sides are no multiple of the scale is cut at the right and the bottom. A missing LR image is
        made by MATLAB's bicubic in 8 bits.

        Returns:
            HR ``(3, H, W)`` and LR ``(3, H / scale, W / scale)``, uint8.

        Raises:
            DataError: a file cannot be read, or the sizes do not fit.
        """
        hr = _read(self.hr)
        if self.lr is None:
            height, width = (side - side % scale for side in hr.shape[1:])
            if min(height, width) == 0:
                raise DataError(f"{self.hr} is smaller than {scale}x{scale} pixels.")
            hr = hr[:, :height, :width].contiguous()
            return hr, imresize(hr, 1 / scale)
        lr = _read(self.lr)
        height, width = lr.shape[1] * scale, lr.shape[2] * scale
        if not (0 <= hr.shape[1] - height < scale and 0 <= hr.shape[2] - width < scale):
            raise DataError(
                f"{self.lr.name} is {lr.shape[2]}x{lr.shape[1]} and {self.hr.name} is {hr.shape[2]}x{hr.shape[1]}, "
                f"which is not {scale} times as large."
            )
        return hr[:, :height, :width].contiguous(), lr


def check_names(names: Iterable[str]) -> None:
    """Refuse names that several images share.

    Raises:
        DataError: there is such a name.
    """
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise DataError(f"two images are called {twice[0]}; names must differ by more than their suffix.")


def find_pairs(folder: Path, *, scale: int, lr_folder: Path | None = None) -> list[Pair]:
    """Pairs in a folder of pictures, sorted by name.

    Understood are: a folder of HR images; ``NAME_HR`` beside ``NAME_LR`` in one folder; and a folder with an HR and an
    LR folder in it (``HR``, ``DIV2K_valid_HR``, ``LR_bicubic/X4``, ...).

    Args:
        folder: where HR images are.
        scale: HR is so many times as large as LR.
        lr_folder: where LR images are, if that is somewhere else.

    Raises:
        DataError: there are no pictures, or an HR image has no LR image or more than one.
    """
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder.")
    if lr_folder is not None:
        if not lr_folder.is_dir():
            raise DataError(f"{lr_folder} is not a folder.")
        return match(_pictures(_hr_folder(folder)), _pictures(lr_folder), scale)
    files = _pictures(folder, required=False)
    if files:
        hr = [p for p in files if _HR_SUFFIX.search(p.stem)]
        lr = [p for p in files if _LR_MARK.search(p.stem) and p not in hr]
        if hr and lr:
            return match(hr, lr, scale)
        return [Pair(_hr_name(p), p, None) for p in files]
    hr_folder = _hr_folder(folder)
    lr_found = _lr_folder(folder, scale)
    hr = _pictures(hr_folder)
    return [Pair(_hr_name(p), p, None) for p in hr] if lr_found is None else match(hr, _pictures(lr_found), scale)


def match(hr: list[Path], lr: list[Path], scale: int) -> list[Pair]:
    """Join HR and LR images whose stems agree but for ``_HR``, ``_LR`` and ``x4``.

    Raises:
        DataError: an HR image has no LR image, or more than one.
    """
    by_name: dict[str, list[Path]] = {}
    for path in lr:
        for name in _lr_names(path.stem, scale):
            by_name.setdefault(name, []).append(path)
    pairs = []
    for path in hr:
        exact = by_name.get(path.stem.lower(), [])
        found = exact if len(exact) == 1 else by_name.get(_hr_name(path).lower(), [])
        if len(found) != 1:
            what = "no LR image" if not found else f"{len(found)} LR images ({found[0].name}, {found[1].name})"
            raise DataError(f"{path.name} has {what}; names must agree but for _HR, _LR and x{scale}.")
        pairs.append(Pair(_hr_name(path), path, found[0]))
    return pairs


def _read(path: Path) -> Tensor:
    try:
        return torch.from_numpy(read_rgb8(path)).permute(2, 0, 1)
    except ImageError as error:
        raise DataError(str(error)) from error


def _hr_name(path: Path) -> str:
    return _HR_SUFFIX.sub("", path.stem)


def _lr_names(stem: str, scale: int) -> set[str]:
    """Every name that an LR image may be meant for."""
    factor, small = rf"[_-]?x{scale}$", r"[_-]lr$"
    names = {stem.lower()}
    for _ in range(2):
        names |= {re.sub(pattern, "", name) for name in names for pattern in (factor, small)}
    return {name for name in names if name}


def _pictures(folder: Path, *, required: bool = True) -> list[Path]:
    paths = sorted(p for p in folder.iterdir() if p.is_file() and is_picture_path(p))
    if required and not paths:
        raise DataError(f"{folder} holds no pictures.")
    return paths


def _hr_folder(folder: Path) -> Path:
    if _pictures(folder, required=False):
        return folder
    found = [p for p in sorted(folder.iterdir()) if p.is_dir() and _HR_FOLDER.search(p.name)]
    if len(found) != 1:
        what = "no pictures and no folder of HR images" if not found else f"{len(found)} folders of HR images"
        names = f" ({', '.join(p.name for p in found)})" if found else ""
        raise DataError(f"{folder} holds {what}{names}; name the folder with the HR images itself.")
    return found[0]


def _lr_folder(folder: Path, scale: int) -> Path | None:
    """The one folder of LR images at this scale below ``folder``; None if there is none."""
    found = []
    for path in sorted(p for p in folder.rglob("*") if p.is_dir()):
        parts = path.relative_to(folder).parts
        if len(parts) > 3 or not _LR_FOLDER.search(parts[0]) or not _pictures(path, required=False):
            continue
        factors = {int(n) for part in parts for n in re.findall(r"x(\d)(?!\d)", part, re.IGNORECASE)}
        if not factors or factors == {scale}:
            found.append(path)
    if len(found) > 1:
        raise SeveralLrFoldersError(folder, found)
    return found[0] if found else None
