"""The data sets known by name, and where they are on this machine."""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from srspace.data.download import Archive
from srspace.errors import DataError, DataSetMissingError
from srspace.suggestions import did_you_mean

CATALOG = Path(__file__).with_name("datasets.toml")


@dataclass(frozen=True)
class DatasetEntry:
    """A data set of the catalogue.

    Attributes:
        name: what users type.
        title: what its makers call it.
        images: how many HR images it has.
        homepage: address of its page.
        licence: terms of use, in a few words.
        reference: the paper that introduced it.
        folder: what its own folder is usually called.
        hr: folder of HR images inside it.
        lr: folders of LR images inside it, by scale.
        archives: files that are downloaded and unpacked.
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

    def own(self) -> list[DatasetEntry]:
        """The entries that have its images: its parts, or itself."""
        return [find_entry(name) for name in self.parts] or [self]


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
        hint = did_you_mean(name, catalog)
        raise DataError(f"no data set is called {name!r}{hint}; the catalogue has {', '.join(catalog)}.")
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


def not_here(entry: DatasetEntry, root: Path, reason: str = "") -> DataSetMissingError:
    """The error for a set that is not there; it says what to put where."""
    folders = " and ".join([entry.hr, *entry.lr.values()])
    return DataSetMissingError(
        entry.name,
        f"{entry.name} is not here{f' and {reason}' if reason else ''}: put the unpacked {folders} from "
        f"{entry.homepage} into {root / entry.folder}.",
    )


def _entry(name: str, values: dict[str, Any]) -> DatasetEntry:
    values = dict(values)
    archives = tuple(Archive(**archive) for archive in values.pop("archives", []))
    lr = {int(scale): folder for scale, folder in values.pop("lr", {}).items()}
    return DatasetEntry(name=name, archives=archives, lr=lr, parts=tuple(values.pop("parts", ())), **values)
