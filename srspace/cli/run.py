"""One run over many pictures: each is read, upscaled and written, and leaves a record."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from srspace.cli.batch import STDIO, Job
from srspace.cli.failures import in_words
from srspace.cli.output import show_traceback, stdin_bytes, unexpected, write_stdout
from srspace.config import SamplingConfig
from srspace.errors import OutputError, SRSpaceError
from srspace.files import check_writable, remove_leftovers
from srspace.images import (
    Picture,
    check_side,
    encode_picture,
    format_of,
    read_bytes,
    read_picture,
    read_provenance,
    read_size,
    write_picture,
)
from srspace.provenance import Provenance, source_key
from srspace.upscaler import Upscaler, UpscaleResult


@dataclass
class Run:
    """What all pictures of a run share."""

    upscaler: Upscaler
    mode: str
    sampling: SamplingConfig
    weights: str
    fusion: str | None
    format: str | None
    overwrite: bool

    def record(self, source: str, target: Path | None) -> dict[str, Any]:
        """A JSON record with every key; what does not apply is None."""
        drawn = self.mode != "rrdb"
        return {
            "input": source,
            "output": None if target is None else str(target),
            "status": "failed",
            "error": None,
            "weights": self.weights,
            "fusion": self.fusion,
            "mode": self.mode,
            "tau": self.sampling.temperature if drawn else None,
            "n": self.sampling.samples if drawn else 0,
            "seed": self.sampling.seed if drawn else None,
            "scale": self.upscaler.scale,
            "device": str(self.upscaler.device),
            "precision": self.upscaler.precision,
            "width": None,
            "height": None,
            "seconds": None,
            "redraws": [],
        }

    def attempt(self, job: Job, share: Callable[[float], None]) -> dict[str, Any]:
        """Upscale one picture; whatever goes wrong ends up in the record."""
        record = self.record(job.name, job.target)
        if job.target is None:
            record["output"] = STDIO
        try:
            if job.problem is not None:
                raise SRSpaceError(job.problem)
            if self._kept(job):
                return record | {"status": "kept"} | _size(job.target)
            return record | {"status": "done"} | _describe(self._upscale(job, share))
        except SRSpaceError as error:
            show_traceback()
            return record | {"error": in_words(error)}
        except Exception as error:  # one picture must not end the run of many
            show_traceback()
            return record | {"error": f"{job.name}: {unexpected(error)}"}

    def _kept(self, job: Job) -> bool:
        try:
            return job.target is not None and not self.overwrite and job.target.is_file()
        except OSError as error:
            raise OutputError(f"{job.target} cannot be written: {error.strerror or error}.") from error

    def _upscale(self, job: Job, share: Callable[[float], None]) -> UpscaleResult:
        name = "standard input" if job.source is None else job.name
        data = read_bytes(job.source or stdin_bytes(), name)
        picture = read_picture(data, name=name)
        mark = Provenance(source_key(job.source), self._settings(data))
        format = self.format or ("png" if job.target is None else format_of(job.target))
        check_side(format, picture.width * self.upscaler.scale, picture.height * self.upscaler.scale)
        if job.target is not None:
            check_writable(job.target)
            remove_leftovers(job.target.parent)
        if job.samples is not None:
            self._check_samples(job, mark)

        def keep(index: int, candidate: Picture) -> None:
            write_picture(candidate, job.sample_path(index), provenance=_of_candidate(mark, index))

        result = self.upscaler.upscale(
            picture,
            mode=self.mode,
            sampling=self.sampling,
            progress=share,
            on_candidate=None if job.samples is None else keep,
        )
        if job.target is None:
            write_stdout(encode_picture(result.picture, format, provenance=mark))
        else:
            write_picture(result.picture, job.target, format, provenance=mark)
        return result

    def _settings(self, data: bytes) -> dict[str, Any]:
        record = self.record("", None)
        keys = ("mode", "tau", "n", "seed", "scale", "precision")
        named = {"weights": self.weights, "fusion": self.fusion}
        folders = {k: Path(v).name if v is not None and Path(v).is_dir() else v for k, v in named.items()}
        return {k: record[k] for k in keys} | folders | {"input_sha256": hashlib.sha256(data).hexdigest()}

    def _check_samples(self, job: Job, mark: Provenance) -> None:
        """Candidates of an interrupted run may be written again; anything else at their place is kept."""
        for index in range(self.sampling.samples or 0):
            path = job.sample_path(index)
            if path.exists() and not self.overwrite and read_provenance(path) != _of_candidate(mark, index):
                raise OutputError(f"{path} exists; give --save-samples another folder, or --overwrite.")
        check_writable(job.sample_path(0))
        remove_leftovers(job.sample_path(0).parent)


def _of_candidate(mark: Provenance, index: int) -> Provenance:
    """A candidate depends on the seed and its index, not on the mode or N."""
    settings = {k: v for k, v in mark.settings.items() if k not in ("mode", "n", "fusion")}
    return replace(mark, settings=settings | {"candidate": index})


def _describe(result: UpscaleResult) -> dict[str, Any]:
    return {
        "width": result.picture.width,
        "height": result.picture.height,
        "seconds": round(result.seconds, 3),
        "redraws": [
            {"index": r.index, "tau": r.temperature, "attempts": r.attempts, "reason": r.reason} for r in result.redraws
        ],
    }


def _size(path: Path | None) -> dict[str, Any]:
    size = None if path is None else read_size(path)
    return {} if size is None else {"width": size[0], "height": size[1]}
