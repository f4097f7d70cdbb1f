"""From inputs to jobs: everything that names can tell before any work, everything else when a picture's turn comes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path

from srspace.batch.candidates import candidate_path
from srspace.batch.earlier import EarlierResults, Headers
from srspace.batch.inputs import STDIO, Found, exists, is_folder, real
from srspace.batch.outcome import Failed, Kept, LeftOut, Made, Outcome, Skipped, Source
from srspace.batch.settings import BatchSettings
from srspace.batch.targets import destination
from srspace.batch.uncertainty import uncertainty_place
from srspace.errors import ImageError, OutputError, ReplacedInputError, SharedTargetError, UsageError
from srspace.images import Header, format_of
from srspace.streams import check_standard_output


@dataclass(frozen=True)
class Job:
    """One picture to upscale.

    Attributes:
        source: the file; None stands for standard input.
        target: the file that the result goes to; None stands for standard output.
        format: of the result, a name of :func:`srspace.images.writable`.
        candidates: path of its candidates without ``_000.png``, or None when they are not wanted.
        uncertainty: where its map of uncertainty goes, or None when it is not wanted.
        size: width and height of the input, as its header tells them; None where it does not.
        piped: whether the source is a pipe or device, whose name says nothing.
        there: whether something stands at the target that only a record can tell to be this run's to replace.
    """

    source: Path | None
    target: Path | None
    format: str
    candidates: Path | None = None
    uncertainty: Path | None = None
    size: tuple[int, int] | None = None
    piped: bool = False
    there: bool = False

    @property
    def streamed(self) -> bool:
        """Whether it comes from standard input, a pipe or a device."""
        return self.source is None or self.piped

    @property
    def input(self) -> str:
        """The source as a record names it."""
        return STDIO if self.source is None else str(self.source)

    @property
    def looks_at_candidates(self) -> bool:
        """Whether anything but the result is made of the candidates."""
        return self.candidates is not None or self.uncertainty is not None

    @property
    def output(self) -> str:
        """The target as a record names it."""
        return STDIO if self.target is None else str(self.target)


class Plan:
    """What a run does, decided picture by picture.

    Only headers that are needed to rule out that an input is lost are read beforehand, and each is read once.

    Args:
        found: the inputs.
        settings: of the run.
        scale: of the weights.

    Raises:
        UsageError: all inputs are earlier results, two results would go to one place, a result would replace an
            input, or the output that was asked for is of no use.
    """

    def __init__(self, found: Sequence[Found], settings: BatchSettings, scale: int) -> None:
        folder = None if settings.save_samples is None else Path(settings.save_samples)
        if folder is not None and exists(folder) and not is_folder(folder):
            raise UsageError(f"{folder} is a file; candidates need a folder.")
        read = [f for f in found if f.left_out is None]
        self._headers = Headers()
        self._earlier = EarlierResults(read, settings, self._headers)
        self._overwrite, self._recorded = settings.overwrite, settings.records is not None
        self._earlier.left(1)
        place = destination(read, settings, scale, self._earlier.left)
        uncertain = uncertainty_place(read, settings)
        jobs = {f: _job(f, place(f), uncertain(f), settings) for f in read}
        _check_collisions([*jobs.items()], settings.samples, lambda f: self._earlier.reason(f) is not None)
        if any(job.target is None for job in jobs.values()):
            check_standard_output()
        self._jobs = [(f, jobs.get(f)) for f in found]

    def __len__(self) -> int:
        """How many files there are, earlier results and those that are left out included."""
        return len(self._jobs)

    @property
    def jobs(self) -> list[Job]:
        """What there may be to do, as far as names tell."""
        return [job for _, job in self._jobs if job is not None]

    def sizes(self, most: int) -> list[tuple[int, int]]:
        """Width and height of so many of the inputs, or fewer, as their headers tell them.

        Args:
            most: how many headers are read, evenly over the plan.
        """
        paths = [job.source for job in self.jobs if job.source is not None and not job.piped]
        headers = (self._headers.of(path) for path in paths[:: -(-len(paths) // most) or 1])
        return [(header.width, header.height) for header in headers if header is not None]

    def decide(self, made: Made) -> Iterator[Job | Outcome]:
        """For one picture after the other, the job; or its outcome, where no pixel needs to be computed.

        Args:
            made: with what results are made in this run.
        """
        return (decide() for decide in self.decisions(made))

    def decisions(self, made: Made) -> Iterator[Callable[[], Job | Outcome]]:
        """As :meth:`decide`, for threads: each is decided when it is called, which looks at files."""
        return (partial(self._decided, found, job, made) for found, job in self._jobs)

    def _decided(self, found: Found, job: Job | None, made: Made) -> Job | Outcome:
        if job is None:
            return LeftOut(found.name, None, made, found.left_out or "")
        try:
            return self._decide(found, job, made)
        except Exception as error:  # one picture must not end the run of many
            return Failed(job.input, job.output, made, error)

    def _decide(self, found: Found, job: Job, made: Made) -> Job | Outcome:
        reason = self._earlier.reason(found)
        if reason is not None:
            return Skipped(job.input, None, made, reason)
        if found.problem is not None:
            raise ImageError(found.problem)
        try:
            kept = job.target is not None and not self._overwrite and job.target.is_file()
        except OSError as error:
            raise OutputError(f"{job.target} cannot be written: {error.strerror or error}.") from error
        if kept and job.target is not None and not self._recorded:
            return kept_result(job, self._headers.of(job.target), made)
        header = None if job.source is None else self._headers.of(job.source)
        return replace(job, size=None if header is None else (header.width, header.height), there=kept)


def _itself(job: Job) -> Job:
    return job


class DecidedPlan:
    """Jobs that were decided elsewhere."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        self._jobs = jobs

    def __len__(self) -> int:
        return len(self._jobs)

    def decisions(self, made: Made) -> Iterator[Callable[[], Job]]:
        """As of :class:`Plan`."""
        return (partial(_itself, job) for job in self._jobs)


class PartOfPlan:
    """Some pictures of a plan.

    Args:
        plan: of all.
        indices: of those.
    """

    def __init__(self, plan: Plan, indices: range) -> None:
        self._plan, self._indices = plan, indices

    def __len__(self) -> int:
        return len(self._indices)

    def decisions(self, made: Made) -> Iterator[Callable[[], Job | Outcome]]:
        """As of :class:`Plan`."""
        wanted = self._indices
        return islice(self._plan.decisions(made), wanted.start, wanted.stop, wanted.step)


def kept_result(job: Job, header: Header | None, made: Made, source: Source | None = None) -> Kept:
    """The outcome of a job whose result stays as it is.

    Args:
        job: the job.
        header: of the result; None where it is no picture that can be recognized.
        made: with what it would have been made in this run.
        source: the input, where it was read.
    """
    if header is None:
        return Kept(job.input, job.output, Made(), None, None, made, source=source)
    told = Made.told_by(header.provenance)
    return Kept(job.input, job.output, told, header.width, header.height, made, source=source)


def _job(found: Found, target: Path | None, uncertainty: Path | None, settings: BatchSettings) -> Job:
    candidates = None
    if settings.save_samples is not None:
        name = "stdin" if found.path is None else found.path.name
        candidates = Path(settings.save_samples) / found.folder / name
    format = settings.format or ("png" if target is None else format_of(target))
    return Job(found.path, target, format, candidates, uncertainty, piped=found.pipe)


def _check_collisions(jobs: Sequence[tuple[Found, Job]], samples: int, left_out: Callable[[Found], bool]) -> None:
    """Names tell what collides; what is then left out as an earlier result does not."""
    sources = {real(f.path): f for f, _ in jobs if f.path is not None and f.problem is None}
    writers: dict[Path, Found] = {}
    for found, job in jobs:
        for path in _written(job, samples):
            place = real(path.parent) / path.name
            other = writers.get(place)
            if other is not None and not left_out(other) and not left_out(found):
                raise SharedTargetError(other.name, found.name, path)
            replaced = sources.get(real(path))
            if replaced is not None and not left_out(replaced) and not left_out(found):
                raise ReplacedInputError(path, replaced.name)
            if other is None or left_out(other):
                writers[place] = found


def _written(job: Job, samples: int) -> Iterator[Path]:
    if job.target is not None:
        yield job.target
    if job.uncertainty is not None:
        yield job.uncertainty
    if job.candidates is not None:
        yield from (candidate_path(job.candidates, index) for index in range(samples))
