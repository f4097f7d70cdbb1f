"""Fetching archives over HTTP: resumed after an interruption, checked, unpacked whole or not at all."""

from __future__ import annotations

import hashlib
import http.client
import os
import re
import shutil
import tarfile
import tempfile
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from srspace.errors import DataError

_CHUNK = 1 << 20
_TIMEOUT = 30
_ATTEMPTS = 5


class UnreachableError(DataError):
    """The server cannot be reached; the message has no full stop, so that it can go on."""


@dataclass(frozen=True)
class Archive:
    """A file to download.

    Attributes:
        url: where it is; or
        hub: a data set repository of the Hugging Face Hub, and
        file: its path in there.
        size: in bytes, if known.
        sha256: checksum, if known.
        md5: checksum, where only this is known.
        scale: the scale that its LR images are for (None: it holds HR images).
    """

    url: str = ""
    hub: str = ""
    file: str = ""
    size: int | None = None
    sha256: str | None = None
    md5: str | None = None
    scale: int | None = None

    @property
    def name(self) -> str:
        return self.address.rsplit("/", 1)[-1]

    @property
    def address(self) -> str:
        """The full URL; the Hub's host follows ``HF_ENDPOINT``."""
        if not self.hub:
            return self.url
        endpoint = os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")
        return f"{endpoint}/datasets/{self.hub}/resolve/main/{self.file}"


def fetch(archive: Archive, folder: Path, progress: Callable[[float], None]) -> Path:
    """Download ``archive`` into ``folder``, going on where an earlier try stopped.

    The unfinished file is called ``NAME.part``. The finished one is compared with the catalogue's size and checksum,
    or with the checksum that the Hub states, and thrown away if it differs.

    Raises:
        UnreachableError: the server cannot be reached.
        DataError: it has no such file, the transfer keeps breaking off, there is no room, or the checksum is wrong.
    """
    target = folder / archive.name
    if target.is_file():
        return target
    part = folder / f"{archive.name}.part"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        stated = _transfer(archive, part, progress)
    except OSError as error:
        raise DataError(f"{part} cannot be written: {error.strerror or error}.") from error
    _check(archive, part, stated)
    part.replace(target)
    return target


def unpack(archive: Path, into: Path, progress: Callable[[float], None]) -> None:
    """Unpack a zip or tar archive; its top-level folders appear in ``into`` when all of them are complete.

    A single top-level folder with the name of ``into`` is not repeated. Members that would land outside are refused.

    Raises:
        DataError: the file is damaged, of another type or unsafe, or cannot be unpacked.
    """
    try:
        into.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".unpacking-", dir=into) as name:
            temporary = Path(name)
            if zipfile.is_zipfile(archive):
                _unzip(archive, temporary, progress)
            else:
                _untar(archive, temporary, progress)
            top = [p for p in temporary.iterdir() if p.name != "__MACOSX"]
            if len(top) == 1 and top[0].is_dir() and top[0].name == into.name:
                top = list(top[0].iterdir())
            for entry in top:
                _merge(entry, into / entry.name)
    except (zipfile.BadZipFile, tarfile.TarError, EOFError) as error:
        raise DataError(f"{archive} is damaged or no archive; delete it and try again ({error}).") from error
    except OSError as error:
        raise DataError(f"{archive.name} cannot be unpacked into {into}: {error.strerror or error}.") from error


def _merge(source: Path, target: Path) -> None:
    if source.is_dir() and target.is_dir():
        for entry in source.iterdir():
            _merge(entry, target / entry.name)
    else:
        source.replace(target)


def _transfer(archive: Archive, part: Path, progress: Callable[[float], None]) -> str | None:
    """Fill ``part``; returns the SHA-256 that the server states, if it does."""
    last: Exception | None = None
    for _ in range(_ATTEMPTS):
        before = part.stat().st_size if part.exists() else 0
        try:
            return _one_transfer(archive, part, progress)
        except urllib.error.HTTPError as error:
            if error.code == 416:
                part.unlink()
                continue
            raise DataError(f"{archive.address} answers {error.code} ({error.reason}).") from error
        except (urllib.error.URLError, TimeoutError, ConnectionError, http.client.HTTPException) as error:
            last = error
            if (part.stat().st_size if part.exists() else 0) <= before:
                break
    host = archive.address.split("/")[2]
    if part.exists() and part.stat().st_size:
        raise DataError(
            f"the download of {archive.name} broke off at {part.stat().st_size / 1e6:.1f} MB; another try goes on "
            "from there."
        ) from last
    raise UnreachableError(f"{host} cannot be reached (offline?)") from last


def _one_transfer(archive: Archive, part: Path, progress: Callable[[float], None]) -> str | None:
    done = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(archive.address, headers={"User-Agent": "srspace"})
    if done:
        request.add_header("Range", f"bytes={done}-")
    redirects = _Redirects()
    with urllib.request.build_opener(redirects).open(request, timeout=_TIMEOUT) as answer:
        if answer.status != 206:
            done = 0
        left = int(answer.headers.get("Content-Length") or 0)
        total = done + left if left else archive.size or 0
        free = shutil.disk_usage(part.parent).free
        if left > free:
            raise DataError(
                f"{archive.name} needs {left / 1e9:.1f} GB in {part.parent}, where {free / 1e9:.1f} are left."
            )
        with part.open("ab" if done else "wb") as file:
            while chunk := answer.read(_CHUNK):
                file.write(chunk)
                done += len(chunk)
                progress(done / total if total else 0.0)
        if left and done < total:
            raise ConnectionError(f"{total - done} bytes are missing")
        return _stated_checksum([*redirects.headers, answer.headers])


def _stated_checksum(headers: list[Any]) -> str | None:
    for header in headers:
        etag = str(header.get("X-Linked-ETag") or "").strip('W/"')
        if re.fullmatch(r"[0-9a-f]{64}", etag):
            return etag
    return None


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects and remembers their headers: the Hub states a file's checksum there."""

    def __init__(self) -> None:
        self.headers: list[Any] = []

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        self.headers.append(headers)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _check(archive: Archive, path: Path, stated: str | None) -> None:
    size = path.stat().st_size
    if archive.size is not None and size != archive.size:
        path.unlink()
        raise DataError(f"{archive.name} has {size} bytes instead of {archive.size}; it was thrown away.")
    for algorithm, expected in (("sha256", archive.sha256 or stated), ("md5", archive.md5)):
        if expected is None:
            continue
        with path.open("rb") as file:
            found = hashlib.file_digest(file, algorithm).hexdigest()
        if found != expected:
            path.unlink()
            raise DataError(f"{archive.name} does not have the expected {algorithm} checksum; it was thrown away.")
        return


def _unzip(archive: Path, into: Path, progress: Callable[[float], None]) -> None:
    root = into.resolve()
    with zipfile.ZipFile(archive) as file:
        members = file.infolist()
        for i, member in enumerate(members):
            if not (into / member.filename).resolve().is_relative_to(root):
                raise DataError(f"{archive.name} is not safe: it holds {member.filename!r}.")
            file.extract(member, into)
            progress((i + 1) / len(members))


def _untar(archive: Path, into: Path, progress: Callable[[float], None]) -> None:
    total = archive.stat().st_size
    with archive.open("rb") as raw, tarfile.open(fileobj=raw) as file:
        for member in file:
            try:
                file.extract(member, into, filter="data")
            except tarfile.FilterError as error:
                raise DataError(f"{archive.name} is not safe: it holds {member.name!r}.") from error
            progress(min(1.0, raw.tell() / total))
