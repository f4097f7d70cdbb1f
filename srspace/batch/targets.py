"""Where results go, told from names alone."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from srspace.batch.inputs import STDIO, Found, exists, is_folder
from srspace.batch.settings import BatchSettings
from srspace.errors import UsageError
from srspace.images import FORMATS, read_as, writable, written_as
from srspace.images.animation import is_animated_file

Destination = Callable[[Found], Path | None]
"""From an input to the file that its result goes to; None stands for standard output."""


def destination(
    found: Sequence[Found], settings: BatchSettings, scale: int, left: Callable[[int | None], list[Found]]
) -> Destination:
    """Where the results of a run go.

    Args:
        found: all inputs.
        settings: of the run.
        scale: of the weights.
        left: gives the inputs that are not earlier results, or the first so many of them. It reads headers, so it is
            asked only where it matters whether one input is left.

    Raises:
        UsageError: the output that was asked for is of no use for these inputs.
    """
    output = None if settings.output is None else os.fspath(settings.output)
    streamed = found[0].streamed
    if output == STDIO or (output is None and streamed):
        if len(found) > 1 and len(left(2)) > 1:
            raise UsageError(f"only one picture can go to standard output, not {len(left(None))}.")
        return lambda f: None
    usual = f"_{settings.size or f'x{scale}'}"
    name = naming(usual if settings.suffix is None else settings.suffix, settings)
    if output is None:
        return lambda f: None if f.path is None else f.path.parent / name(f.path)
    place = Path(output)
    names_folder = output.endswith(("/", os.sep)) or is_folder(place)
    if streamed and names_folder:
        what = "standard input" if found[0].path is None else found[0].name
        raise UsageError(f"{output} is a folder; {what} names no result, which needs a file.")
    if streamed or (not names_folder and (place.suffix or exists(place)) and _one_was_named(found, left)):
        _check_format(place, settings.format)
        return lambda f: place
    if exists(place) and not is_folder(place):
        raise UsageError(f"{output} is a file; the results of a folder or of several pictures need a folder.")
    return lambda f: None if f.path is None else place / f.folder / name(f.path)


def _one_was_named(found: Sequence[Found], left: Callable[[int | None], list[Found]]) -> bool:
    remaining = left(2) if len(found) > 1 else found
    return len(remaining) == 1 and remaining[0].root is None


def _check_format(path: Path, format: str | None) -> None:
    known = written_as(path)
    if format is not None and known not in (None, format):
        raise UsageError(f"{path} is named as {known}, but the format asked for is {format}.")


def naming(suffix: str, settings: BatchSettings) -> Callable[[Path], str]:
    """From an input to its result's name.

    Args:
        suffix: added to the stem.
        settings: of the run.
    """

    def name(path: Path) -> str:
        if settings.format is not None:
            return path.stem + suffix + FORMATS[settings.format].suffixes[0]
        return path.stem + suffix + _ending(path, first_frame=settings.first_frame)

    return name


def _ending(path: Path, *, first_frame: bool) -> str:
    format = written_as(path)
    if format is None:
        format = read_as(path)
        return FORMATS[format].suffixes[0] if format in writable() else ".png"
    if writable()[format].stills or (not first_frame and is_animated_file(path)):
        return path.suffix
    return ".png"
