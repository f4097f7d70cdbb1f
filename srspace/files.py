"""Writing files so that a reader never sees half of one, and clearing away what killed runs left."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from srspace.errors import NotAFileError, OutputError

# Windows has no such locks; there an open file cannot be removed, which serves as well.
fcntl: Any = import_module("fcntl") if os.name == "posix" else None

_SUFFIX = ".srspace.part"


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; rename it onto ``path`` when the block ends without an error.

    The temporary name starts with a dot and ends in ``.srspace.part``, so that no glob for pictures finds it. The
    file stays locked while it is written: :func:`remove_leftovers` tells by that whether its writer lives. A link at
    ``path`` is followed.

    Raises:
        OutputError: the folder cannot be made or written to, or ``path`` is something other than a file.
    """
    with _atomic(Path(path)) as (temporary, _):
        yield temporary


def write_bytes(path: Path, data: bytes) -> None:
    """Write ``data`` to ``path`` atomically.

    Raises:
        OutputError: the file cannot be written.
    """
    with _atomic(Path(path)) as (_, handle):
        with os.fdopen(handle, "wb", closefd=False) as file:
            file.write(data)
        os.fsync(handle)


def check_writable(path: Path, known: set[Path] | None = None) -> None:
    """Find out before the work whether :func:`write_bytes` can succeed; makes the folder, leaves no file.

    Args:
        path: of the file.
        known: folders that were found to be writable before, and are not tried again; the file's is added.

    Raises:
        OutputError: the folder cannot be made or written to, or ``path`` is something other than a file.
    """
    path = Path(path)
    final = _final(path)
    if known is not None and final.parent in known:
        return
    temporary = _temporary_name(final)
    try:
        with _as_output_error(path):
            os.close(_locked(temporary))
    finally:
        with suppress(OSError):
            temporary.unlink()
    if known is not None:
        known.add(final.parent)


def remove_leftovers(folder: Path) -> list[Path]:
    """Remove temporary files in ``folder`` whose writer was killed; those still being written stay.

    Returns:
        What was removed.
    """
    removed = []
    with suppress(OSError):
        for path in folder.glob(f".*{_SUFFIX}"):
            with suppress(OSError):
                if _abandoned(path):
                    path.unlink()
                    removed.append(path)
    return removed


def lock(handle: int) -> bool:
    """Lock an open file until it is closed; returns whether nobody else has. Where there are no locks, nobody has."""
    if fcntl is None:
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return True
    return True


@contextmanager
def _atomic(path: Path) -> Iterator[tuple[Path, int]]:
    """As :func:`atomic_path`; yields the temporary path and a descriptor of the file."""
    final = _final(path)
    handle, temporary = -1, _temporary_name(final)  # known before the file is there: interruptions come at any moment
    there = True
    try:
        with _as_output_error(path):
            handle = _locked(temporary)
        with _as_output_error(path):
            yield temporary, handle
            if fcntl is None:
                os.close(handle)
                handle = -1
            temporary.replace(final)
            there = False
    finally:
        if there:
            with suppress(OSError):
                temporary.unlink()
        if handle >= 0:
            os.close(handle)


def _final(path: Path) -> Path:
    """Where a rename must go so that links stay links.

    Raises:
        OutputError: there is something other than a file.
    """
    with _as_output_error(path):
        try:
            mode = path.stat().st_mode
        except (FileNotFoundError, NotADirectoryError):
            return path.resolve() if path.is_symlink() else path
        if stat.S_ISDIR(mode):
            raise OutputError(f"{path} cannot be written: a folder is in its place.")
        if not stat.S_ISREG(mode):
            raise NotAFileError(path)
        return path.resolve() if path.is_symlink() else path


def _temporary_name(path: Path) -> Path:
    return path.with_name(f".{path.name[:40]}.{secrets.token_hex(6)}{_SUFFIX}")


def _locked(temporary: Path) -> int:
    """A descriptor of the new file, locked while it is open."""
    while True:
        try:
            handle = _created(temporary)
        except FileNotFoundError:
            temporary.parent.mkdir(parents=True, exist_ok=True)
            handle = _created(temporary)
        if fcntl is not None:
            with suppress(OSError):  # a file system without locks
                fcntl.flock(handle, fcntl.LOCK_EX)
        if fcntl is None or os.fstat(handle).st_nlink:
            return handle
        os.close(handle)  # taken for a leftover before it was locked


def _created(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)


def _abandoned(path: Path) -> bool:
    if fcntl is None:
        return True
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            return False
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        os.close(handle)
    return True


@contextmanager
def _as_output_error(path: Path) -> Iterator[None]:
    try:
        yield
    except (FileExistsError, NotADirectoryError) as error:
        raise OutputError(f"{path} cannot be written: a file stands where its folder should be.") from error
    except (OSError, RuntimeError) as error:  # RuntimeError: a loop of links, in some versions of Python
        raise OutputError(f"{path} cannot be written: {getattr(error, 'strerror', None) or error}.") from error
