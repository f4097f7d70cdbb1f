"""A file with one JSON record a picture, which a later run goes on from.

A record is :meth:`srspace.batch.Outcome.record`. It is added with one write as soon as the picture is done, so that a
killed run leaves at most one torn line, at the end.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from types import TracebackType
from typing import Any

from srspace.batch.outcome import Done, Failed, Made, Outcome
from srspace.batch.settings import BatchSettings
from srspace.errors import NotRecordsError, OutputError, RecordsInUseError
from srspace.files import lock

_START = b'{"input": '
_TOLD_BY_MADE = {"weights", "fusion", "mode", "parameters", "sampling", "consistency"}
_NOT_IN_RESULTS = {
    "device", "engine", "address", "workers", "precision", "output",
    "suffix", "recursive", "overwrite", "records", "resume", "fail_fast", "retries"
}  # fmt: skip


def fingerprint(settings: BatchSettings, made: Made, checksums: Iterable[str]) -> str:
    """Hexadecimal SHA-256 of all that was asked for and that a result depends on; precision and device do not count.

    Args:
        settings: of the run.
        made: what they come to, before weights are chosen for a picture.
        checksums: of all weights that may be used, and of their configurations.
    """
    asked = {key: value for key, value in made.for_mark().items() if key not in ("precision", "assessment")}
    for f in fields(settings):
        if f.name not in _TOLD_BY_MADE | _NOT_IN_RESULTS:
            asked[f.name] = getattr(settings, f.name)
    asked |= {key: getattr(settings, key) is not None for key in ("save_samples", "uncertainty")}
    asked["checksums"] = sorted(checksums)
    return hashlib.sha256(json.dumps(asked, sort_keys=True, default=_plain).encode()).hexdigest()


class Records:
    """The file of records of a run; a context manager, which holds a lock on it.

    Args:
        path: the file; it need not exist.
        resume: whether what it tells to be done counts (None: it does).

    Attributes:
        path: the file.
        recorded: what it tells, for other processes.

    Raises:
        OutputError: it cannot be read or written.
        RecordsInUseError: another run holds the lock.
        NotRecordsError: it holds something else.
    """

    def __init__(self, path: str | Path, *, resume: bool | None = None) -> None:
        self.path = Path(path)
        self._done: dict[str, tuple[str | None, str | None]] = {}
        self.recorded = Recorded(self._done)
        self._told: set[tuple[str, str]] = set()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self.path.open("ab+", buffering=0)
            if not lock(self._file.fileno()):
                raise RecordsInUseError(self.path)
            self._load(resume is not False)
        except OSError as error:
            raise self._unwritable(error) from error

    def __enter__(self) -> Records:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def done(self, output: str, sha256: str, settings: str | None) -> bool:
        """Whether a result was made of an input of this content with these settings.

        Args:
            output: the result's path.
            sha256: of the input.
            settings: as :func:`fingerprint` returns it.
        """
        return self.recorded.done(output, sha256, settings)

    def wrote(self, output: str) -> bool:
        """Whether the result at a path is one that an earlier run recorded."""
        return self.recorded.wrote(output)

    def add(self, outcome: Outcome) -> None:
        """Add the record of an outcome, unless it is there: of what was found as it was, one tells enough.

        Raises:
            OutputError: it cannot be written.
        """
        key = (outcome.input, outcome.status)
        if not isinstance(outcome, Done | Failed):
            if key in self._told or (outcome.output is not None and self.wrote(outcome.output)):
                return
            self._told.add(key)
        line = json.dumps(outcome.record()).encode() + b"\n"
        try:
            before = self._file.seek(0, os.SEEK_END)
            if self._file.write(line) < len(line):
                self._file.truncate(before)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            raise self._unwritable(error) from error

    def _load(self, count: bool) -> None:
        self._file.seek(0)
        data = self._file.read()
        whole = data.rfind(b"\n") + 1
        if not _START.startswith(data[: len(_START)]) and not data.startswith(_START):
            raise NotRecordsError(self.path)
        if whole < len(data):
            self._file.truncate(whole)
        for line in data[:whole].splitlines() if count else ():
            try:
                record = json.loads(line)
                self._learn(record)
            except (ValueError, KeyError, TypeError, AttributeError):  # a line of something else
                continue

    def _learn(self, record: dict[str, Any]) -> None:
        self._told.add((record["input"], record["status"]))
        if record["status"] == Done.status and record["output"] is not None:
            self._done[_place(record["output"])] = (record.get("input_sha256"), record.get("settings_sha256"))

    def _unwritable(self, error: OSError) -> OutputError:
        return OutputError(f"{self.path} cannot be written: {error.strerror or error}.")


@dataclass(frozen=True)
class Recorded:
    """What records tell of some results; it can be pickled.

    Attributes:
        results: by path, the checksums of input and settings.
    """

    results: Mapping[str, tuple[str | None, str | None]]

    @classmethod
    def joined(cls, parts: Iterable[Recorded]) -> Recorded:
        """What several tell."""
        return cls({place: sums for part in parts for place, sums in part.results.items()})

    def of(self, output: str) -> Recorded:
        """What is told of one result."""
        place = _place(output)
        return Recorded({place: self.results[place]} if place in self.results else {})

    def done(self, output: str, sha256: str, settings: str | None) -> bool:
        """As of :class:`Records`."""
        return self.results.get(_place(output)) == (sha256, settings)

    def wrote(self, output: str) -> bool:
        """As of :class:`Records`."""
        return _place(output) in self.results

    def add(self, outcome: Outcome) -> None:
        """Nothing: whoever has the file adds the record."""


def _place(path: str) -> str:
    return path if "://" in path else str(Path(path).absolute())


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else asdict(value)
