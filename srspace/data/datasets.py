"""Data sets to measure on: opening one by name or folder, and fetching it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from srspace.data.catalog import (
    DatasetEntry,
    cache_home,
    data_root,
    find_entry,
    load_catalog,
    locate,
    not_here,
)
from srspace.data.download import UnreachableError, fetch, unpack
from srspace.data.pairs import Pair, check_names, find_pairs, match
from srspace.errors import DataError
from srspace.suggestions import did_you_mean

Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class Dataset:
    """Images to measure on.

    Attributes:
        name: how to call it.
        scale: HR is so many times as large as LR.
        pairs: its images.
    """

    name: str
    scale: int
    pairs: tuple[Pair, ...]

    @property
    def made_lr(self) -> bool:
        """Whether LR images are made from HR ones."""
        return any(pair.lr is None for pair in self.pairs)


def open_dataset(
    spec: str,
    *,
    scale: int = 4,
    root: Path | None = None,
    lr_folder: Path | None = None,
    progress: Progress | None = None,
    download: bool = True,
) -> Dataset:
    """A data set by name or folder.

    Args:
        spec: a catalogue name, fetched first where needed, or a folder; see :func:`srspace.data.pairs.find_pairs`.
        scale: HR is so many times as large as LR.
        root: where data sets are kept (None: :func:`data_root`).
        lr_folder: where the LR images of a folder are, if that is somewhere else.
        progress: called with what is being done and the share done, while fetching.
        download: whether a missing set may be fetched.

    Raises:
        DataError: the set is not there and cannot be fetched, or a folder is not laid out as expected.
    """
    path = Path(spec)
    if path.is_dir():
        pairs = find_pairs(path, scale=scale, lr_folder=lr_folder)
        return _unique(Dataset(path.resolve().name, scale, tuple(pairs)))
    if spec.lower() not in load_catalog():
        known = load_catalog()
        hint = did_you_mean(spec, known)
        raise DataError(
            f"{spec} is neither a folder nor a data set of the catalogue{hint}; there are {', '.join(known)}."
        )
    if lr_folder is not None:
        raise DataError("a folder of LR images goes with a folder of HR images, not with a data set of the catalogue.")
    entry = find_entry(spec)
    root = root or data_root()
    pairs = []
    for part in entry.own():
        base = locate(part, root)
        if base is None:
            if not download:
                raise not_here(part, root)
            base = pull(part.name, root=root, scale=scale, progress=progress)
        pairs += _entry_pairs(part, base, scale)
    return _unique(Dataset(entry.name, scale, tuple(pairs)))


def pull(
    name: str,
    *,
    root: Path | None = None,
    scale: int = 4,
    keep_archives: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Fetch a data set, check it and unpack it; what is there already is left alone.

    Args:
        name: a catalogue name.
        root: where data sets are kept.
        scale: which LR images to fetch along.
        keep_archives: whether archives stay beside the unpacked folders.
        progress: called with what is being done and the share done.

    Returns:
        The folder that holds the set.

    Raises:
        DataError: there is no such set, no network, no room, or an archive is not what the catalogue says.
    """
    root = root or data_root()
    entry = find_entry(name)
    folder = root
    for part in entry.own():
        folder = _pull_entry(part, root, scale, keep_archives, progress or (lambda text, share: None))
    return root if entry.parts else folder


def _pull_entry(entry: DatasetEntry, root: Path, scale: int, keep: bool, progress: Progress) -> Path:
    base = locate(entry, root) or root / entry.folder
    for archive in entry.archives:
        wanted = entry.lr[scale] if archive.scale is not None and scale in entry.lr else entry.hr
        if archive.scale not in (None, scale) or _filled(base / wanted):
            continue
        try:
            path = fetch(archive, root / ".archives", partial(progress, archive.name))
        except UnreachableError as error:
            raise not_here(entry, root, str(error)) from error
        progress(f"unpacking {archive.name}", 0.0)
        unpack(path, base, partial(progress, f"unpacking {archive.name}"))
        if not _filled(base / wanted):
            raise DataError(f"{archive.name} does not hold the folder {wanted}; it was unpacked into {base}.")
        if not keep:
            path.unlink()
    found = sum(1 for _ in (base / entry.hr).glob("*.*"))
    if found != entry.images:
        raise DataError(f"{base / entry.hr} holds {found} images, not the {entry.images} of {entry.title}.")
    if not keep:
        shutil.rmtree(root / ".archives", ignore_errors=True)
    return base


def _entry_pairs(entry: DatasetEntry, base: Path, scale: int) -> list[Pair]:
    lr = base / entry.lr[scale] if scale in entry.lr else None
    if lr is not None and _filled(lr):
        return find_pairs(base / entry.hr, scale=scale, lr_folder=lr)
    return find_pairs(base / entry.hr, scale=scale)


def _filled(folder: Path) -> bool:
    return folder.is_dir() and any(folder.iterdir())


def _unique(dataset: Dataset) -> Dataset:
    check_names([pair.name for pair in dataset.pairs])
    return replace(dataset, pairs=tuple(sorted(dataset.pairs, key=lambda pair: pair.name)))


__all__ = [
    "Dataset",
    "DatasetEntry",
    "Pair",
    "cache_home",
    "data_root",
    "find_entry",
    "find_pairs",
    "load_catalog",
    "locate",
    "match",
    "not_here",
    "open_dataset",
    "pull",
]
