"""From what the user named to pictures."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from srspace.errors import NoPictureError, UsageError
from srspace.images import is_picture_path, left_out

STDIO = "-"
"""What stands for standard input and output."""

_DESCRIPTOR = re.compile(r"/dev/(stdin|fd/\d+)|/proc/(self|thread-self|\d+)/fd/\d+")


@dataclass(frozen=True)
class Found:
    """An input picture.

    Attributes:
        path: the file, or None for standard input.
        folder: its place below the input folder that it was found in.
        root: that folder, or None when the user named the file itself.
        problem: why it cannot even be opened, or None.
        left_out: why a file that was found in a folder is not read, or None.
        pipe: whether the path is one of a pipe or device, which is read once and names no result.
    """

    path: Path | None
    folder: Path = Path()
    root: Path | None = None
    problem: str | None = None
    left_out: str | None = None
    pipe: bool = False

    @property
    def name(self) -> str:
        """The path as typed or found, ``-`` for standard input."""
        return STDIO if self.path is None else str(self.path)

    @property
    def streamed(self) -> bool:
        """Whether it comes from standard input, a pipe or a device."""
        return self.path is None or self.pipe


def find_inputs(inputs: Iterable[str | Path], *, recursive: bool) -> list[Found]:
    """Expand what the user named into pictures; each is found once.

    Args:
        inputs: files, folders or ``-``.
        recursive: descend into folders (not through links to folders, nor into hidden ones).

    Raises:
        UsageError: an input is missing, or there is no picture at all.
    """
    names = [str(name) for name in inputs]
    if STDIO in names:
        if len(names) > 1:
            raise UsageError("'-' (standard input) cannot be mixed with other inputs.")
        return [Found(None)]
    found: dict[Path | None, Found] = {}
    for name in names:
        for picture in _expand(Path(name), recursive):
            found.setdefault(picture.path and picture.path.absolute(), picture)
    if all(picture.left_out for picture in found.values()):
        raise NoPictureError(names, recursive, [Path(picture.name).name for picture in found.values()])
    if len(found) > 1:
        for picture in found.values():
            if picture.pipe:
                raise UsageError(f"{picture.name} is a pipe or device and names no result; upscale it alone.")
    return list(found.values())


def found_in(root: Path, path: Path) -> Found | None:
    """A file below a folder that was named; None where its name is not that of a picture."""
    if is_picture_path(path):
        return Found(path, path.parent.relative_to(root), root, _unreadable(path))
    if (reason := left_out(path)) is not None:
        return Found(path, path.parent.relative_to(root), root, left_out=reason)
    return None


def exists(path: Path) -> bool:
    """Whether there is anything at ``path``; nothing can be where the name is too long or links go in circles."""
    try:
        return path.exists()
    except OSError:
        return False


def is_folder(path: Path) -> bool:
    """Whether there is a folder at ``path``, likewise."""
    try:
        return path.is_dir()
    except OSError:
        return False


def real(path: Path) -> Path:
    """``path`` without links, as far as they lead anywhere."""
    try:
        return path.resolve()
    except (OSError, RuntimeError):  # a loop of links
        return path.absolute()


def _expand(path: Path, recursive: bool) -> Iterator[Found]:
    if not is_folder(path):
        if not os.path.lexists(path):
            raise UsageError(f"{path} does not exist.")
        yield Found(path, problem=None if exists(path) else f"{path} is a broken link.", pipe=_is_pipe(path))
        return
    errors: list[OSError] = []
    for folder, folders, files in os.walk(path, onerror=errors.append):
        folders[:] = sorted(f for f in folders if not f.startswith(".")) if recursive else []
        for name in sorted(files):
            found = found_in(path, Path(folder, name))
            if found is not None:
                yield found
    for error in errors:
        where = Path(error.filename)
        yield Found(where, Path(), path, f"{where} cannot be read: {error.strerror}.")


def _is_pipe(path: Path) -> bool:
    if _DESCRIPTOR.fullmatch(str(path.absolute())):
        return True  # whatever is behind it, a file that a shell has opened, too
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)


def _unreadable(path: Path) -> str | None:
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return f"{path} is a broken link."
    except OSError as error:
        return f"{path} cannot be read: {error.strerror}."
    return None if stat.S_ISREG(mode) else f"{path} is not a regular file."
