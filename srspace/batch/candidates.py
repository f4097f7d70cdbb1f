"""Candidates that are saved beside the result: where they go, and what may already stand there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from srspace.errors import CandidateExistsError
from srspace.files import check_writable, remove_leftovers
from srspace.images import Picture, read_header, write_picture
from srspace.provenance import Provenance

_OF_THE_RESULT_ONLY = ("mode", "n", "fusion", "parameters", "assessment")


def candidate_path(stem: Path, index: int) -> Path:
    """Where candidate ``index`` goes; ``stem`` is its path without ``_000.png``."""
    return stem.with_name(f"{stem.name}_{index:03d}.png")


def check_candidates(stem: Path, count: int, mark: Provenance, *, overwrite: bool) -> None:
    """Find out before the work whether candidates can be saved.

    Candidates of an interrupted run may be written again; anything else at their place is kept.

    Args:
        stem: as of :func:`candidate_path`.
        count: how many there will be.
        mark: of the result.
        overwrite: whether anything may be replaced.

    Raises:
        OutputError: something else is there, or the folder cannot be written to.
    """
    for index in range(count):
        path = candidate_path(stem, index)
        if index == 0 or path.exists() or path.is_symlink():  # they share a folder
            check_beside(path, _of_candidate(mark, index), overwrite=overwrite)
    remove_leftovers(stem.parent)


def check_beside(path: Path, mark: Provenance, *, overwrite: bool) -> None:
    """Find out before the work whether a file that stands beside results can be written, as an interrupted run did.

    Args:
        path: of the file.
        mark: that it will carry.
        overwrite: whether anything may be replaced.

    Raises:
        OutputError: something else is there, or the folder cannot be written to.
    """
    if path.exists() and not overwrite:
        header = read_header(path)
        if header is None or header.provenance != mark:
            raise CandidateExistsError(path)
    check_writable(path)


def candidate_writer(stem: Path, mark: Provenance) -> Callable[[int, Picture], None]:
    """What writes each candidate as it comes."""

    def write(index: int, candidate: Picture) -> None:
        write_picture(candidate, candidate_path(stem, index), provenance=_of_candidate(mark, index))

    return write


def _of_candidate(mark: Provenance, index: int) -> Provenance:
    """A candidate depends on the seed and its index, not on the mode or N."""
    settings = {k: v for k, v in mark.settings.items() if k not in _OF_THE_RESULT_ONLY}
    return replace(mark, settings=settings | {"candidate": index})
