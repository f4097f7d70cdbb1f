"""From what the user typed to a plan: which inputs, where each result goes, and what is left out and why."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from srspace.errors import UsageError
from srspace.images import FORMATS, format_of, is_picture_path, read_header, writable
from srspace.provenance import source_key

STDIO = "-"


@dataclass(frozen=True)
class Found:
    """An input picture.

    Attributes:
        path: the file, or None for standard input.
        folder: its place below the input folder that it was found in.
        root: that folder, or None when the user named the file itself.
        problem: why it cannot even be opened, or None.
    """

    path: Path | None
    folder: Path = Path()
    root: Path | None = None
    problem: str | None = None


@dataclass(frozen=True)
class Job:
    """One picture to upscale.

    Attributes:
        source: None stands for standard input.
        target: None stands for standard output.
        samples: path of its candidates without ``_000.png``, or None when they are not wanted.
        problem: why it cannot be done, known before any work; or None.
    """

    source: Path | None
    target: Path | None
    samples: Path | None = None
    problem: str | None = None

    @property
    def name(self) -> str:
        return STDIO if self.source is None else str(self.source)

    def sample_path(self, index: int) -> Path:
        """Where candidate ``index`` goes.

        Raises:
            ValueError: candidates are not wanted.
        """
        if self.samples is None:
            raise ValueError("this job saves no candidates")
        return self.samples.with_name(f"{self.samples.name}_{index:03d}.png")


@dataclass(frozen=True)
class Plan:
    """What a run does: its jobs, and the inputs left out, each with the reason."""

    jobs: list[Job]
    skipped: list[tuple[Path, str]] = field(default_factory=list)


def find_inputs(inputs: list[str], *, recursive: bool) -> list[Found]:
    """Expand what the user named into pictures; each is found once.

    Args:
        inputs: files, folders or ``-``.
        recursive: descend into folders (not through links to folders, nor into hidden ones).

    Raises:
        UsageError: an input is missing, or there is no picture at all.
    """
    if STDIO in inputs:
        if len(inputs) > 1:
            raise UsageError("'-' (standard input) cannot be mixed with other inputs.")
        return [Found(None)]
    found: dict[Path | None, Found] = {}
    for name in inputs:
        for picture in _expand(Path(name), recursive):
            found.setdefault(picture.path and picture.path.absolute(), picture)
    if not found:
        raise UsageError(f"there is no picture in {', '.join(inputs)}{'' if recursive else ' (see --recursive)'}.")
    return list(found.values())


def plan(
    found: list[Found],
    output: str | None,
    *,
    suffix: str,
    format: str | None = None,
    save_samples: Path | None = None,
    samples: int = 0,
) -> Plan:
    """Decide every output before any work starts.

    Earlier results are left out: a picture that carries this program's mark, when the picture that it was made from
    is among the inputs, or when it was found in a folder that this run writes to.

    Args:
        found: the inputs.
        output: a file (one input file), a folder, ``-`` or None (beside the input).
        suffix: added to the stem of every result.
        format: format of the results (None: as ``output`` or the input says, where it can be written, else PNG).
        save_samples: folder for candidates, or None.
        samples: how many candidates each picture has.

    Raises:
        UsageError: two results would go to one place, a result would replace an input, or ``output`` is of no use.
    """
    skipped = _earlier_results(found, output, save_samples)
    left_out = {path for path, _ in skipped}
    found = [f for f in found if f.path is None or f.path not in left_out]
    if not found:
        raise UsageError(
            "all pictures there are earlier results of srspace; name them one by one, or give -o another folder, "
            "to upscale them again."
        )
    jobs = [
        Job(
            f.path,
            target,
            None if save_samples is None else save_samples / f.folder / ("stdin" if f.path is None else f.path.name),
            f.problem,
        )
        for f, target in zip(found, _targets(found, output, suffix, format), strict=True)
    ]
    for job in jobs:
        if job.target is not None and format is None:
            format_of(job.target)
    _check_collisions(jobs, samples)
    return Plan(jobs, skipped)


def _expand(path: Path, recursive: bool) -> Iterator[Found]:
    if not _is_folder(path):
        if not os.path.lexists(path):
            raise UsageError(f"{path} does not exist.")
        yield Found(path, problem=None if _exists(path) else f"{path} is a broken link.")
        return
    errors: list[OSError] = []
    for folder, folders, files in os.walk(path, onerror=errors.append):
        folders[:] = sorted(f for f in folders if not f.startswith(".")) if recursive else []
        for name in sorted(files):
            picture = Path(folder, name)
            if is_picture_path(picture):
                yield Found(picture, picture.parent.relative_to(path), path, _unreadable(picture))
    for error in errors:
        where = Path(error.filename)
        yield Found(where, Path(), path, f"{where} cannot be read: {error.strerror}.")


def _unreadable(path: Path) -> str | None:
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return f"{path} is a broken link."
    except OSError as error:
        return f"{path} cannot be read: {error.strerror}."
    return None if stat.S_ISREG(mode) else f"{path} is not a regular file."


def _targets(found: list[Found], output: str | None, suffix: str, format: str | None) -> list[Path | None]:
    one = found[0].path if len(found) == 1 and found[0].root is None else None
    from_stdin = found[0].path is None
    if output == STDIO or (output is None and from_stdin):
        if len(found) != 1:
            raise UsageError(f"only one picture can go to standard output, not {len(found)}.")
        return [None]
    if output is None:
        return [f.path.parent / _name(f.path, suffix, format) for f in found if f.path is not None]
    names_folder = output.endswith(("/", os.sep)) or _is_folder(Path(output))
    if from_stdin and names_folder:
        raise UsageError(f"{output} is a folder; standard input has no name, so give -o a file.")
    if from_stdin or (one is not None and not names_folder and (Path(output).suffix or _exists(Path(output)))):
        _check_format(Path(output), format)
        return [Path(output)]
    if _exists(Path(output)) and not _is_folder(Path(output)):
        raise UsageError(f"{output} is a file; the results of a folder or of several pictures need a folder.")
    return [Path(output) / f.folder / _name(f.path, suffix, format) for f in found if f.path is not None]


def _check_format(path: Path, format: str | None) -> None:
    known = {s: name for name in writable() for s in FORMATS[name].suffixes}.get(path.suffix.lower())
    if format is not None and known not in (None, format):
        raise UsageError(f"{path} is named as {known}, but --format says {format}.")


def _name(path: Path, suffix: str, format: str | None) -> str:
    if format is not None:
        return path.stem + suffix + FORMATS[format].suffixes[0]
    writable = any(path.suffix.lower() in f.suffixes for f in FORMATS.values() if f.writing)
    return path.stem + suffix + (path.suffix if writable else ".png")


def _earlier_results(found: list[Found], output: str | None, save_samples: Path | None) -> list[tuple[Path, str]]:
    if len(found) == 1 and found[0].root is None:
        return []
    by_key = {source_key(f.path): f.path for f in found if f.path is not None}
    written = [_real(Path(p)) for p in (output, save_samples) if p is not None]
    skipped = []
    for f in found:
        header = read_header(f.path) if f.path is not None and f.problem is None else None
        mark = header.provenance if header is not None else None
        if mark is None or f.path is None:
            continue
        source = by_key.get(mark.source)
        here = _real(f.path)
        if source is not None and source != f.path:
            skipped.append((f.path, f"it was made from {source.name}"))
        elif f.root is not None and (output is None or any(here.is_relative_to(folder) for folder in written)):
            skipped.append((f.path, "it is an earlier result in the folder that results go to"))
    return skipped


def _check_collisions(jobs: list[Job], samples: int) -> None:
    sources = {_real(job.source): job for job in jobs if job.source is not None and job.problem is None}
    writers: dict[Path, Job] = {}
    for job in jobs:
        written = [] if job.target is None else [job.target]
        if job.samples is not None:
            written += [job.sample_path(i) for i in range(samples)]
        for path in written:
            place = _real(path.parent) / path.name
            if place in writers:
                raise UsageError(
                    f"{writers[place].name} and {job.name} would both be written to {path}; "
                    "keep them apart with --recursive, --format, another folder or separate runs."
                )
            if (replaced := sources.get(_real(path))) is not None:
                raise UsageError(f"{path} would replace the input {replaced.name}; use --suffix or -o.")
            writers[place] = job


def _real(path: Path) -> Path:
    """``path`` without links, as far as they lead anywhere."""
    try:
        return path.resolve()
    except (OSError, RuntimeError):  # a loop of links
        return path.absolute()


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a name that is too long, a loop of links
        return False


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:
        return False
