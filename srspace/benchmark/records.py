"""One JSON line per image and row: what was measured, and everything needed to measure it again."""

from __future__ import annotations

import hashlib
import json
import math
import os
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from srspace.errors import DataError, OutputError

_PRECISIONS = {"float32": "fp32", "bfloat16": "bf16", "float16": "fp16"}


def precision_word(name: str) -> str:
    """The word for a precision, also where older files or torch spell it out: ``bf16`` for ``bfloat16``."""
    return _PRECISIONS.get(name, name)


@dataclass(frozen=True)
class Record:
    """Scores of one row on one image.

    Attributes:
        key: fingerprint of everything that the scores depend on.
        dataset: name of the data set.
        image: name of the image.
        row: name of the row.
        values: scores by metric; LPIPS is filed under its backbone (``lpips-alex``). A ``sample`` row has the mean
            over its candidates.
        candidates: scores of every candidate of a ``sample`` row, by metric, in the candidates' order.
        settings: what the key was made of: images' and weights' checksums, protocol, seed, tau, n, versions; and the
            weights' name and torch's version.
        redraws: candidates whose inverse had exploded.
    """

    key: str
    dataset: str
    image: str
    row: str
    values: dict[str, float]
    candidates: dict[str, list[float]] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    redraws: list[dict[str, Any]] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Plain values; an infinite PSNR becomes the string ``"inf"``, since JSON has no infinity."""
        return _plain(asdict(self))  # type: ignore[no-any-return]

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Record:
        """The opposite of :meth:`to_json`.

        Raises:
            ValueError: the values are not a record.
        """
        known = {f.name for f in fields(cls)}
        try:
            record = cls(**{k: v for k, v in values.items() if k in known})
            scores = {k: float(v) for k, v in record.values.items()}
            candidates = {k: [float(x) for x in v] for k, v in record.candidates.items()}
        except (TypeError, AttributeError) as error:
            raise ValueError(f"not a benchmark record: {error}") from error
        settings = dict(record.settings)
        if "precision" in settings:
            settings["precision"] = precision_word(settings["precision"])
        return cls(**{**asdict(record), "values": scores, "candidates": candidates, "settings": settings})

    def merged(self, other: Record) -> Record:
        """This record with the scores of a later one of the same key on top."""
        return Record(
            **{
                **asdict(other),
                "values": self.values | other.values,
                "candidates": self.candidates | other.candidates,
                "redraws": other.redraws or self.redraws,
            }
        )


class RecordFile:
    """Records on disk, appended a line at a time, so that an interrupted run loses one line at most.

    Args:
        path: the file; it need not exist.
        fresh: act as if it held nothing; what is appended still goes on top of what it holds.
    """

    def __init__(self, path: Path, *, fresh: bool = False) -> None:
        self.path, self.fresh = path, fresh

    def load(self) -> dict[str, Record]:
        """Records by key, later lines on top; lines that are torn or of another kind are passed over.

        Raises:
            DataError: the file cannot be read.
        """
        try:
            lines = self.path.read_bytes().split(b"\n") if self.path.exists() and not self.fresh else []
        except OSError as error:
            raise DataError(f"{self.path} cannot be read: {error.strerror or error}.") from error
        records: dict[str, Record] = {}
        for line in lines:
            try:
                record = Record.from_json(json.loads(line))
            except (ValueError, AttributeError):
                continue
            earlier = records.get(record.key)
            records[record.key] = earlier.merged(record) if earlier else record
        return records

    def append(self, record: Record) -> None:
        """Add one line; a torn one before it is closed first.

        Raises:
            OutputError: the file cannot be written.
        """
        line = json.dumps(record.to_json(), ensure_ascii=False, allow_nan=False).encode() + b"\n"
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("ab+") as file:
                if file.seek(0, os.SEEK_END):
                    file.seek(-1, os.SEEK_END)
                    if file.read(1) != b"\n":
                        line = b"\n" + line
                file.write(line)
        except OSError as error:
            raise OutputError(f"{self.path} cannot be written: {error.strerror or error}.") from error


def fingerprint(settings: dict[str, Any]) -> str:
    """A short hash of ``settings``, the same whatever their order."""
    text = json.dumps(settings, sort_keys=True, ensure_ascii=False)
    return hashlib.blake2b(text.encode(), digest_size=12).hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value
