"""The data sets known by name: catalogue, where they are on this machine, fetching them."""

from __future__ import annotations

import os
import shutil
import tomllib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

from srspace.data.download import Archive, UnreachableError, fetch, unpack
from srspace.data.folders import find_pictures
from srspace.data.pairs import Pair, find_pairs, match
from srspace.errors import DataError

CATALOG = Path(__file__).with_name("datasets.toml")

Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class DatasetEntry:
    """A data set of the catalogue.

    Attributes:
        images: how many HR images it has.
        folder: what its own folder is usually called.
        hr: folder of HR images inside it.
        lr: folders of LR images inside it, by scale.
        parts: entries that it is made of, if it has no images of its own.
    """

    name: str
    title: str
    images: int
    homepage: str
    licence: str
    reference: str
    folder: str = ""
    hr: str = ""
    lr: dict[int, str] = field(default_factory=dict)
    archives: tuple[Archive, ...] = ()
    parts: tuple[str, ...] = ()

    @property
    def known_size(self) -> int:
        """Bytes to download, as far as the catalogue knows them."""
        return sum(archive.size or 0 for archive in self.archives)


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


@cache
def load_catalog() -> dict[str, DatasetEntry]:
    """All entries by name.

    Raises:
        DataError: the catalogue is missing or damaged.
    """
    try:
        table = tomllib.loads(CATALOG.read_text(encoding="utf-8"))
        return {name: _entry(name, values) for name, values in table.items()}
    except (OSError, tomllib.TOMLDecodeError, TypeError, ValueError) as error:
        raise DataError(f"the catalogue of data sets {CATALOG} cannot be read: {error}.") from error


def find_entry(name: str) -> DatasetEntry:
    """The entry called ``name``, in whatever case.

    Raises:
        DataError: there is none.
    """
    catalog = load_catalog()
    if name.lower() not in catalog:
        raise DataError(f"no data set is called {name!r}; the catalogue has {', '.join(catalog)}.")
    return catalog[name.lower()]


def data_root() -> Path:
    """Where data sets are kept: ``SRSPACE_DATA``, or a folder in the user's cache."""
    named = os.environ.get("SRSPACE_DATA")
    return Path(named) if named else cache_home() / "data"


def cache_home() -> Path:
    """This user's cache folder for srspace."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "srspace"


def locate(entry: DatasetEntry, root: Path) -> Path | None:
    """The folder that holds the entry's HR folder: ``root``, ``root/<folder>`` or ``root/<name>``."""
    for base in (root, root / entry.folder, root / entry.name):
        hr = base / entry.hr
        if hr.is_dir() and any(hr.iterdir()):
            return base
    return None


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
        raise DataError(f"{spec} is neither a folder nor a data set of the catalogue ({', '.join(load_catalog())}).")
    if lr_folder is not None:
        raise DataError("a folder of LR images goes with a folder of HR images, not with a data set of the catalogue.")
    entry = find_entry(spec)
    root = root or data_root()
    pairs = []
    for part in _parts(entry):
        base = locate(part, root)
        if base is None:
            if not download:
                raise DataError(where_to_put(part, root))
            base = pull(part.name, root=root, scale=scale, progress=progress)
        pairs += _entry_pairs(part, base, scale)
    return _unique(Dataset(entry.name, scale, tuple(pairs)))


def where_to_put(entry: DatasetEntry, root: Path, reason: str = "") -> str:
    """One sentence for a set that is not there: what to put where, or the command that fetches it."""
    folders = " and ".join([entry.hr, *entry.lr.values()])
    return (
        f"{entry.name} is not here{f' and {reason}' if reason else ''}: put the unpacked {folders} from "
        f"{entry.homepage} into {root / entry.folder}, or run 'srspace data pull {entry.name}' with a network."
    )


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
    for part in _parts(entry):
        folder = _pull_entry(part, root, scale, keep_archives, progress or (lambda text, share: None))
    return root if entry.parts else folder


def prepare(
    source: Path, target: Path, *, scale: int = 4, progress: Callable[[float], None] | None = None
) -> list[Path]:
    """Make LR images of a folder of HR images, by MATLAB's bicubic in 8 bits, as a paired data set.

    Args:
        source: pictures, searched recursively.
        target: gets ``HR/NAME.png``, cut to a multiple of the scale, and ``LR_bicubic/X4/NAMEx4.png``. Images that
            are there already are kept.
        scale: how much smaller LR is.
        progress: called with the share done.

    Returns:
        The LR images.

    Raises:
        DataError: ``source`` has no pictures, a picture cannot be read, or two of them would get one name.
        OutputError: ``target`` cannot be written.
    """
    from PIL import Image

    from srspace.files import atomic_path

    paths = find_pictures(source)
    names = ["_".join(p.relative_to(source).with_suffix("").parts) for p in paths]
    _check_names(names)
    written = []
    for i, (path, name) in enumerate(zip(paths, names, strict=True)):
        hr_path = target / "HR" / f"{name}.png"
        lr_path = target / "LR_bicubic" / f"X{scale}" / f"{name}x{scale}.png"
        if not (hr_path.is_file() and lr_path.is_file()):
            hr, lr = Pair(name, path, None).load(scale)
            for image, out in ((hr, hr_path), (lr, lr_path)):
                with atomic_path(out) as temporary:
                    Image.fromarray(image.permute(1, 2, 0).numpy()).save(temporary, "PNG")
        written.append(lr_path)
        if progress is not None:
            progress((i + 1) / len(paths))
    return written


def _pull_entry(entry: DatasetEntry, root: Path, scale: int, keep: bool, progress: Progress) -> Path:
    base = locate(entry, root) or root / entry.folder
    for archive in entry.archives:
        wanted = entry.lr[scale] if archive.scale is not None and scale in entry.lr else entry.hr
        if archive.scale not in (None, scale) or _filled(base / wanted):
            continue
        try:
            path = fetch(archive, root / ".archives", partial(progress, archive.name))
        except UnreachableError as error:
            raise DataError(where_to_put(entry, root, str(error))) from error
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


def _parts(entry: DatasetEntry) -> list[DatasetEntry]:
    return [find_entry(name) for name in entry.parts] or [entry]


def _unique(dataset: Dataset) -> Dataset:
    _check_names([pair.name for pair in dataset.pairs])
    return replace(dataset, pairs=tuple(sorted(dataset.pairs, key=lambda pair: pair.name)))


def _check_names(names: list[str]) -> None:
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise DataError(f"two images are called {twice[0]}; names must differ by more than their suffix.")


def _entry(name: str, values: dict[str, Any]) -> DatasetEntry:
    values = dict(values)
    archives = tuple(Archive(**archive) for archive in values.pop("archives", []))
    lr = {int(scale): folder for scale, folder in values.pop("lr", {}).items()}
    return DatasetEntry(name=name, archives=archives, lr=lr, parts=tuple(values.pop("parts", ())), **values)


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
    "open_dataset",
    "prepare",
    "pull",
    "where_to_put",
]
