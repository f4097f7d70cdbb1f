"""What happens to a picture: it is read, upscaled and written.

The three stages know nothing of each other but what one hands to the next, so that whoever drives them may let them
overlap or run elsewhere; here one picture follows the other. Whatever happens to a picture ends in its outcome, and
the next one is done. Only an interruption ends the run.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from srspace.batch.candidates import candidate_writer, check_candidates
from srspace.batch.outcome import Done, Failed, Made, Outcome
from srspace.batch.plan import Job, Plan
from srspace.batch.settings import BatchSettings
from srspace.files import check_writable, remove_leftovers
from srspace.images import Picture, check_side, encode_picture, read_bytes, read_picture, write_picture
from srspace.provenance import Provenance, source_key
from srspace.streams import standard_input, write_standard_output

if TYPE_CHECKING:
    from srspace.upscaler import Upscaler, UpscaleResult


@dataclass(frozen=True)
class Progress:
    """How far a run has come.

    Attributes:
        name: the picture at work, as a record names it.
        index: how many pictures came before it.
        total: how many there are, earlier results included.
        share: of this picture that is done, from 0 to 1.
    """

    name: str
    index: int
    total: int
    share: float


@dataclass(frozen=True)
class Decoded:
    """A picture that was read, with the mark for its result."""

    job: Job
    picture: Picture
    mark: Provenance


@dataclass(frozen=True)
class Computed:
    """A picture that was upscaled."""

    job: Job
    result: UpscaleResult
    mark: Provenance


class Reader:
    """The first stage: decodes a picture and makes sure that its result can be written before it is computed."""

    def __init__(self, settings: BatchSettings, made: Made, scale: int) -> None:
        self._settings, self._made, self._scale = settings, made, scale
        self._cleared: set[Path] = set()

    def __call__(self, job: Job) -> Decoded:
        """Read one picture.

        Raises:
            ImageError: the input is not a picture that can be read.
            OutputError: the result or a candidate cannot be written.
        """
        name = "standard input" if job.source is None else job.input
        data = read_bytes(job.source or standard_input(), name)
        picture = read_picture(data, name=name)
        settings = self._made.for_mark() | {"input_sha256": hashlib.sha256(data).hexdigest()}
        mark = Provenance(source_key(job.source), settings)
        check_side(job.format, picture.width * self._scale, picture.height * self._scale)
        if job.target is not None:
            check_writable(job.target)
            self._clear(job.target.parent)
        if job.candidates is not None:
            check_candidates(job.candidates, self._settings.samples, mark, overwrite=self._settings.overwrite)
        return Decoded(job, picture, mark)

    def _clear(self, folder: Path) -> None:
        if folder not in self._cleared:
            remove_leftovers(folder)
            self._cleared.add(folder)


class Computer:
    """The second stage: upscales a picture, and writes its candidates while they come."""

    def __init__(self, settings: BatchSettings, upscaler: Upscaler) -> None:
        self._settings, self._upscaler = settings, upscaler

    def __call__(self, decoded: Decoded, progress: Callable[[float], None] | None = None) -> Computed:
        """Upscale one picture.

        Args:
            decoded: of the first stage.
            progress: called with the share done.

        Raises:
            ResourceError: there is not enough memory.
            OutputError: a candidate cannot be written.
        """
        stem = decoded.job.candidates
        result = self._upscaler.upscale(
            decoded.picture,
            mode=self._settings.mode,
            sampling=self._settings.sampling,
            consistency=self._settings.consistency,
            progress=progress,
            on_candidate=None if stem is None else candidate_writer(stem, decoded.mark),
            **self._settings.parameters,
        )
        return Computed(decoded.job, result, decoded.mark)


class Writer:
    """The third stage: encodes a result and writes it whole or not at all."""

    def __init__(self, made: Made) -> None:
        self._made = made

    def __call__(self, computed: Computed) -> Done:
        """Write one result.

        Raises:
            OutputError: it cannot be written.
        """
        job, result = computed.job, computed.result
        if job.target is None:
            write_standard_output(encode_picture(result.picture, job.format, provenance=computed.mark))
        else:
            write_picture(result.picture, job.target, job.format, provenance=computed.mark)
        return Done(
            job.input, job.output, self._made, result.picture.width, result.picture.height, result.seconds,
            result.redraws, result.consistency, result.lr_psnr,
        )  # fmt: skip


def run(
    plan: Plan, settings: BatchSettings, upscaler: Upscaler, made: Made, progress: Callable[[Progress], None] | None
) -> Iterator[Outcome]:
    """Drive the stages, one picture after the other.

    Args:
        plan: what to do.
        settings: of the run.
        upscaler: with the weights that the settings name.
        made: what the settings come to with them.
        progress: called when a picture begins, while it is computed, and when it has its outcome.
    """
    read, compute, write = Reader(settings, made, upscaler.scale), Computer(settings, upscaler), Writer(made)
    for index, planned in enumerate(plan.decide(made)):
        if isinstance(planned, Outcome):
            yield planned
            continue
        report = _reporter(progress, planned.input, index, len(plan))
        report(0.0)
        try:
            outcome: Outcome = write(compute(read(planned), report))
        except Exception as error:  # one picture must not end the run of many
            outcome = Failed(planned.input, planned.output, made, error)
        report(1.0)
        yield outcome


def _reporter(
    progress: Callable[[Progress], None] | None, name: str, index: int, total: int
) -> Callable[[float], None]:
    def report(share: float) -> None:
        if progress is not None:
            progress(Progress(name, index, total, share))

    return report
