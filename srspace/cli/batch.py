"""From what the user typed to a plan: which inputs, and where each result goes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from srspace.errors import UsageError
from srspace.images import FORMATS, is_picture_path

STDIO = "-"


@dataclass(frozen=True)
class Job:
    """One picture to upscale; ``None`` stands for standard input or output."""

    source: Path | None
    target: Path | None

    @property
    def name(self) -> str:
        return STDIO if self.source is None else str(self.source)


def plan(inputs: list[str], output: str | None, *, recursive: bool, suffix: str, format: str | None) -> list[Job]:
    """Decide every output before any work starts.

    Args:
        inputs: files, folders or ``-``.
        output: a file (one input file), a folder, ``-`` or None (beside the input).
        recursive: descend into folders; their structure is kept below ``output``.
        suffix: added to the stem of every result.
        format: format of the results (None: the input's where it can be written, else PNG).

    Raises:
        UsageError: an input is missing, there is nothing to do, two inputs would write to one output, or an output
            would replace an input.
    """
    if format is not None and format not in FORMATS:
        raise UsageError(f"the format must be one of {', '.join(FORMATS)}, not {format!r}.")
    if STDIO in inputs and len(inputs) > 1:
        raise UsageError("'-' (standard input) cannot be mixed with other inputs.")
    if inputs == [STDIO] and output is not None and Path(output).is_dir():
        raise UsageError(f"{output} is a folder; standard input has no name, so give -o a file.")
    if inputs == [STDIO]:
        return [Job(None, None if output in (None, STDIO) else Path(output or ""))]
    found = [pair for name in inputs for pair in _expand(Path(name), recursive)]
    if output == STDIO:
        if len(found) != 1:
            raise UsageError(f"only one picture can go to standard output, not {len(found)}.")
        return [Job(found[0][0], None)]
    single = output is not None and len(inputs) == 1 and Path(inputs[0]).is_file()
    if single and output and not Path(output).is_dir() and Path(output).suffix:
        jobs = [Job(found[0][0], Path(output))]
    else:
        jobs = [
            Job(path, (path.parent if output is None else Path(output) / folder) / _name(path, suffix, format))
            for path, folder in found
        ]
    jobs = _without_earlier_results(jobs)
    if not jobs:
        raise UsageError(f"there is no picture in {', '.join(inputs)}.")
    _check_collisions(jobs)
    return jobs


def _expand(path: Path, recursive: bool) -> list[tuple[Path, Path]]:
    if path.is_dir():
        entries = sorted(path.rglob("*") if recursive else path.iterdir())
        return [(p, p.parent.relative_to(path)) for p in entries if p.is_file() and is_picture_path(p)]
    if not path.exists():
        raise UsageError(f"{path} does not exist.")
    return [(path, Path())]


def _name(path: Path, suffix: str, format: str | None) -> str:
    if format is not None:
        return path.stem + suffix + FORMATS[format].suffixes[0]
    writable = any(path.suffix.lower() in f.suffixes for f in FORMATS.values())
    return path.stem + suffix + (path.suffix if writable else ".png")


def _without_earlier_results(jobs: list[Job]) -> list[Job]:
    """Leave out inputs that are results of other inputs: a folder run twice must not upscale its own output."""
    targets = {job.target.resolve() for job in jobs if job.target is not None}
    return [job for job in jobs if job.source is None or job.source.resolve() not in targets or _same(job)]


def _same(job: Job) -> bool:
    return job.source is not None and job.target is not None and job.source.resolve() == job.target.resolve()


def _check_collisions(jobs: list[Job]) -> None:
    writers: dict[Path, Job] = {}
    sources = {job.source.resolve(): job for job in jobs if job.source is not None}
    for job in jobs:
        if job.target is None:
            continue
        target = job.target.resolve()
        if target in writers:
            raise UsageError(
                f"{writers[target].name} and {job.name} would both be written to {job.target}; "
                "keep them apart with --recursive, --format or separate runs."
            )
        if target in sources:
            raise UsageError(f"{job.target} would replace the input {sources[target].name}; use --suffix or -o.")
        writers[target] = job
