"""The weight catalogue, and fetching what is not in the box: download, checksum, cache, offline."""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from srspace import modes
from srspace.config import AUTO_WEIGHTS
from srspace.errors import NoFlowError, NoFusionError, UsageError, WeightsError
from srspace.modes import Mode
from srspace.suggestions import did_you_mean

FILES = ("config.json", "model.safetensors")
MODEL_FILES = (".safetensors", ".pth", ".pt", ".ckpt")
"""Endings of files that hold a model of another project."""


@dataclass(frozen=True)
class WeightFile:
    """A file of an entry: name in its folder, SHA-256, size in bytes."""

    path: str
    sha256: str
    size: int


@dataclass(frozen=True)
class CatalogEntry:
    """Weights known by name.

    Attributes:
        kind: ``"flow"``, ``"fusion"``, ``"dial-fusion"``, ``"encoder"`` or ``"assessor"``.
        base: for fusion weights, the flow whose candidates they were trained on.
        mode: for fusion weights, the mode that they serve.
        repo: Hub repository, or None when they come in the box only.
        revision: the pinned revision in ``repo``.
    """

    name: str
    kind: str
    scale: int
    architecture: str
    description: str
    licence: str
    training_data: str
    files: tuple[WeightFile, ...]
    repo: str | None = None
    revision: str | None = None
    base: str | None = None
    mode: str | None = None

    @property
    def bundled(self) -> bool:
        """Whether the files came in the box."""
        return all((weights_root() / self.name / f.path).is_file() for f in self.files)


@dataclass(frozen=True)
class FileCheck:
    """Result of checking one file: ``problem`` is None when it is as the catalogue says."""

    path: Path
    problem: str | None


def weights_root() -> Path:
    """The folder of bundled weights: inside an installed package, or the source tree's ``weights/``."""
    packaged = Path(__file__).parent / "_weights"
    return packaged if packaged.is_dir() else Path(__file__).parent.parent / "weights"


def load_catalog(path: Path | None = None) -> dict[str, CatalogEntry]:
    """All entries by name.

    Raises:
        WeightsError: the catalogue is missing or damaged.
    """
    path = path or weights_root() / "catalog.toml"
    try:
        return dict(_entries(path.read_text(encoding="utf-8")))
    except (OSError, tomllib.TOMLDecodeError, TypeError, KeyError) as error:
        raise WeightsError(f"the weight catalogue {path} cannot be read: {error}.") from error


@lru_cache(8)
def _entries(text: str) -> Mapping[str, CatalogEntry]:
    """A catalogue's entries; one picture's way through the program asks for them dozens of times."""
    return {name: _entry(name, values) for name, values in tomllib.loads(text).items()}


def find_entry(name: str) -> CatalogEntry:
    """The catalogue's entry called ``name``.

    Raises:
        WeightsError: there is none.
    """
    catalog = load_catalog()
    if name not in catalog:
        hint = did_you_mean(name, catalog)
        raise WeightsError(f"no weights are called {name!r}{hint}; the catalogue has {', '.join(catalog)}.")
    return catalog[name]


def fusion_networks(flow: str) -> dict[str, CatalogEntry]:
    """The fusion weights for the flow weights ``flow``, by the mode that they serve; of several, the first."""
    name = _catalog_name(flow)
    found: dict[str, CatalogEntry] = {}
    for entry in load_catalog().values():
        if entry.base == name and entry.mode is not None:
            found.setdefault(entry.mode, entry)
    return found


def find_fusion(flow: str, mode: str) -> CatalogEntry:
    """The fusion weights that serve ``mode`` on the flow weights ``flow``.

    Raises:
        WeightsError: there are none; those of another flow are not taken silently.
    """
    found = fusion_networks(flow)
    if mode not in found:
        raise NoFusionError(mode, flow, [e.name for e in load_catalog().values() if e.mode == mode])
    return found[mode]


def choose_fusion(flow: str, mode: str, named: str | None = None) -> str:
    """The fusion weights to use for ``mode`` on ``flow``: those that the user named, or the catalogue's.

    Args:
        flow: the flow's weights.
        mode: the fusion mode.
        named: catalogue name, folder or ``hf://owner/repo[@revision]``, or None.

    Raises:
        UsageError: the catalogue says that ``named`` serves another mode.
        WeightsError: nothing is named, and the catalogue has nothing for that flow.
    """
    if named is None:
        return find_fusion(flow, mode).name
    entry = load_catalog().get(named)
    if entry is not None and entry.mode not in (None, mode):
        raise UsageError(f"{named} serves the mode {entry.mode}, not {mode}.")
    return named


def base_flow(fusion: str) -> str:
    """The flow whose candidates a fusion network was trained on, by its name in the catalogue.

    Args:
        fusion: catalogue name, folder or ``hf://owner/repo[@revision]``.

    Raises:
        NoFlowError: the catalogue does not know the network.
        WeightsError: there are no such weights.
    """
    if _parse_hub(fusion) is None:
        resolve_weights(fusion)
    entry = load_catalog().get(_catalog_name(fusion))
    if entry is None or entry.base is None:
        raise NoFlowError(fusion)
    return entry.base


def usual_mode(flow: str, fusion: str | None = None) -> Mode:
    """The mode used where the user names none.

    Args:
        flow: the flow's weights.
        fusion: the fusion weights that the user named, or None. They are for the default mode.
    """
    if fusion is not None:
        return modes.find(modes.DEFAULT)
    if is_model_file(flow):
        return modes.EXTERNAL
    return modes.usual(fusion_networks(flow))


def is_model_file(spec: str) -> bool:
    """Whether weights are named as the file of a model, as other projects have it; it need not exist."""
    return Path(spec).suffix.lower() in MODEL_FILES and spec not in load_catalog() and not Path(spec).is_dir()


def check_served(spec: str, mode: Mode) -> None:
    """Make sure that a mode goes with weights: models of other projects have a mode of their own.

    Raises:
        UsageError: it does not.
    """
    if is_model_file(spec) and not mode.external:
        name = modes.EXTERNAL.name
        raise UsageError(f"{spec} is a model of another project, which the mode {name} runs, not {mode.name}.")
    if mode.external and not is_model_file(spec):
        raise UsageError(f"the mode {mode.name} runs a model of another project; name its file as the weights.")


def weights_scale(spec: str) -> int:
    """The upscaling factor of flow weights, without loading them; of ``hf://`` only the configuration is fetched.

    Raises:
        WeightsError: ``spec`` stands for no weights that can be had, or for weights without a scale.
    """
    catalog = load_catalog()
    if spec in catalog:
        return catalog[spec].scale
    match = _parse_hub(spec)
    folder = _download(match[0], match[1], FILES[:1]) if match else resolve_weights(spec)
    try:
        config = json.loads((folder / FILES[0]).read_text(encoding="utf-8"))
        if config["kind"] == "flow":
            return int(config["flow"]["scale"])
    except OSError as error:
        raise WeightsError(f"{spec} is not a model folder: {FILES[0]} cannot be read.") from error
    except (ValueError, KeyError, TypeError) as error:
        raise WeightsError(f"{spec} is not a flow: its {FILES[0]} is damaged.") from error
    raise WeightsError(f"{spec} holds weights of the kind {config['kind']}, not a flow.")


def resolve_weights(spec: str) -> Path:
    """The local folder that ``spec`` stands for, fetched first where needed.

    Args:
        spec: a catalogue name, a folder, or ``hf://owner/repo[@revision]``.

    Raises:
        WeightsError: it is none of them, cannot be fetched, or fails its checksum.
    """
    if spec == AUTO_WEIGHTS:
        raise WeightsError(f"{AUTO_WEIGHTS!r} chooses weights for a picture; here they must be named.")
    match = _parse_hub(spec)
    if match is not None:
        return _download(*match)
    catalog = load_catalog()
    if spec in catalog:
        return pull(spec)
    if Path(spec).is_dir():
        return Path(spec)
    if is_model_file(spec):
        raise WeightsError(f"{spec} is named like a model of another project; here weights of a flow are needed.")
    raise WeightsError(
        f"{spec!r} is neither a folder nor in the catalogue{did_you_mean(spec, catalog)}; the catalogue has "
        f"{', '.join(catalog)}, and weights on the Hub are called hf://owner/repo."
    )


def pull(name: str) -> Path:
    """Make the files of a catalogue entry available and return their folder; all are compared with their SHA-256.

    Raises:
        WeightsError: they cannot be fetched, or a file is not what the catalogue says.
    """
    entry = find_entry(name)
    if entry.bundled:
        folder = weights_root() / name
        problems = [check for check in verify_folder(folder, entry) if check.problem]
        if problems:
            raise WeightsError(f"{problems[0].path} {problems[0].problem}.")
        return folder
    check_at_hand(name)
    folder = _download(str(entry.repo), entry.revision)
    if any(c.problem for c in verify_folder(folder, entry)):
        folder = _download(str(entry.repo), entry.revision, force=True)
    for result in verify_folder(folder, entry):
        if result.problem:
            result.path.unlink(missing_ok=True)
            raise WeightsError(f"{name}: the downloaded {result.path.name} {result.problem}; it was thrown away.")
    return folder


def check_at_hand(name: str) -> None:
    """Make sure that the files of a catalogue entry are here or could be fetched; nothing is opened or fetched.

    Raises:
        WeightsError: they are missing, or there is no such entry.
    """
    entry = find_entry(name)
    if not entry.bundled and entry.repo is None:
        raise WeightsError(f"the files of {name} are missing and no Hub repository has them; install srspace again.")


def verify_folder(folder: Path, entry: CatalogEntry) -> list[FileCheck]:
    """Compare every file of an entry with the catalogue's sizes and checksums."""
    return [FileCheck(folder / f.path, _problem(folder / f.path, f)) for f in entry.files]


def push(folder: Path, repo: str, *, private: bool = False, message: str = "Upload weights") -> str:
    """Upload a model folder to the Hub and return the commit to pin in the catalogue.

    Raises:
        WeightsError: the folder is not a model, or the Hub refuses.
    """
    missing = [name for name in FILES if not (folder / name).is_file()]
    if missing:
        raise WeightsError(f"{folder} is not a model folder: it lacks {' and '.join(missing)}.")
    with _hub_errors(repo):
        from huggingface_hub import HfApi

        api = HfApi()
        api.create_repo(repo, private=private, exist_ok=True)
        commit = api.upload_folder(
            repo_id=repo, folder_path=folder, commit_message=message, allow_patterns=[*FILES, "README.md"]
        )
        return str(commit.oid)


def sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def checksum(spec: str, name: str = FILES[1]) -> str:
    """Hexadecimal SHA-256 of the tensors that ``spec`` stands for, from the catalogue where it is known there.

    Args:
        spec: as of :func:`resolve_weights`.
        name: another file of a model folder; a file of another project's model stands for all that there is.

    Raises:
        WeightsError: there are none.
    """
    entry = load_catalog().get(spec)
    if is_model_file(spec) and Path(spec).is_file():
        return sha256(Path(spec))
    known = next((file.sha256 for file in entry.files if file.path == name), None) if entry else None
    if known is not None:
        return known
    try:
        return sha256(resolve_weights(spec) / name)
    except OSError as error:
        raise WeightsError(f"{spec} is not a model folder: {name} cannot be read.") from error


def _entry(name: str, values: dict[str, Any]) -> CatalogEntry:
    files = tuple(WeightFile(**file) for file in values["files"])
    return CatalogEntry(name=name, **{**values, "files": files})


def _problem(path: Path, file: WeightFile) -> str | None:
    if not path.is_file():
        return "is missing"
    if path.stat().st_size != file.size:
        return f"has {path.stat().st_size} bytes instead of {file.size}"
    return None if sha256(path) == file.sha256 else "does not have the checksum of the catalogue"


def _parse_hub(spec: str) -> tuple[str, str | None] | None:
    """Repository and revision of ``hf://owner/repo[@revision]``; None for anything else."""
    if not spec.startswith("hf://"):
        return None
    match = re.fullmatch(r"hf://([\w.-]+/[\w.-]+)(?:@([\w./-]+))?", spec)
    if match is None:
        raise WeightsError(f"{spec!r} is not of the form hf://owner/repo[@revision].")
    return match[1], match[2]


def _catalog_name(spec: str) -> str:
    """The catalogue's name for ``spec``: itself, or the name of the entry that a folder holds a copy of."""
    catalog = load_catalog()
    folder = Path(spec)
    if spec in catalog or not folder.is_dir():
        return spec
    same = (n for n, e in catalog.items() if all(_problem(folder / f.path, f) is None for f in e.files))
    return next(same, spec)


def _download(repo: str, revision: str | None, files: tuple[str, ...] = FILES, *, force: bool = False) -> Path:
    with _hub_errors(repo):
        from huggingface_hub import hf_hub_download

        paths = [Path(hf_hub_download(repo, name, revision=revision, force_download=force)) for name in files]
    return paths[0].parent


@contextmanager
def _hub_errors(repo: str) -> Iterator[None]:
    """Turn what the Hub's client raises into one sentence each."""
    from huggingface_hub import errors
    from huggingface_hub.utils import logging as hub_logging

    level = hub_logging.get_verbosity()
    hub_logging.set_verbosity_error()  # it would tell of every retry
    try:
        yield
    except errors.GatedRepoError as error:
        raise WeightsError(f"{repo} is gated: ask for access on its page and log in with 'hf auth login'.") from error
    except errors.RepositoryNotFoundError as error:
        raise WeightsError(f"{repo} does not exist on the Hub, or is private.") from error
    except errors.RevisionNotFoundError as error:
        raise WeightsError(f"{repo} has no such revision.") from error
    except errors.EntryNotFoundError as error:
        if isinstance(error, errors.LocalEntryNotFoundError):
            raise WeightsError(f"{repo} is not in the cache and the Hub cannot be reached (offline?).") from error
        raise WeightsError(f"{repo} is not a model of srspace: it lacks {' or '.join(FILES)}.") from error
    except Exception as error:  # the client's transport, and so its errors, change between its versions
        detail = " ".join(str(error).split())[:120].rstrip(".")
        raise WeightsError(f"{repo} could not be transferred ({detail}).") from error
    finally:
        hub_logging.set_verbosity(level)
