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
from srspace.batch.deciding import Decision
from srspace.batch.outcome import Done, Failed, Made, Outcome
from srspace.batch.plan import Job, Plan
from srspace.batch.settings import BatchSettings
from srspace.errors import CheckpointError, WeightsError
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
    """A picture that was read, with what its result is made with, and the mark for it."""

    job: Job
    picture: Picture
    made: Made
    mark: Provenance


@dataclass(frozen=True)
class Computed:
    """A picture that was upscaled."""

    job: Job
    result: UpscaleResult
    made: Made
    mark: Provenance


class Reader:
    """The first stage: decodes a picture, decides on its weights, and makes sure that its result can be written."""

    def __init__(self, settings: BatchSettings, decide: Decision, scale: int) -> None:
        self._settings, self._decide, self._scale = settings, decide, scale
        self._cleared: set[Path] = set()

    def __call__(self, job: Job) -> Decoded:
        """Read one picture.

        Raises:
            ImageError: the input is not a picture that can be read.
            OutputError: the result or a candidate cannot be written.
            WeightsError: weights are to be chosen, and those that choose are missing or damaged.
        """
        name = "standard input" if job.source is None else job.input
        data = read_bytes(job.source or standard_input(), name)
        picture = read_picture(data, name=name)
        check_side(job.format, picture.width * self._scale, picture.height * self._scale)
        made = self._decide(picture)
        settings = made.for_mark() | {"input_sha256": hashlib.sha256(data).hexdigest()}
        mark = Provenance(source_key(job.source), settings)
        if job.target is not None:
            check_writable(job.target)
            self._clear(job.target.parent)
        if job.candidates is not None:
            check_candidates(job.candidates, self._settings.samples, mark, overwrite=self._settings.overwrite)
        return Decoded(job, picture, made, mark)

    def _clear(self, folder: Path) -> None:
        if folder not in self._cleared:
            remove_leftovers(folder)
            self._cleared.add(folder)


class Computer:
    """The second stage: upscales a picture, and writes its candidates while they come."""

    def __init__(self, settings: BatchSettings, upscaler: Callable[[Made], Upscaler]) -> None:
        self._settings, self._upscaler = settings, upscaler

    def __call__(self, decoded: Decoded, progress: Callable[[float], None] | None = None) -> Computed:
        """Upscale one picture.

        Args:
            decoded: of the first stage.
            progress: called with the share done.

        Raises:
            ResourceError: there is not enough memory.
            OutputError: a candidate cannot be written.
            WeightsError: weights that were chosen are missing, cannot be fetched or fail their checksum.
            CheckpointError: they are damaged.
        """
        stem = decoded.job.candidates
        result = self._upscaler(decoded.made).upscale(
            decoded.picture,
            mode=self._settings.mode,
            sampling=self._settings.sampling,
            consistency=self._settings.consistency,
            progress=progress,
            on_candidate=None if stem is None else candidate_writer(stem, decoded.mark),
            **self._settings.parameters,
        )
        return Computed(decoded.job, result, decoded.made, decoded.mark)


class Writer:
    """The third stage: encodes a result and writes it whole or not at all."""

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
            job.input, job.output, computed.made, result.picture.width, result.picture.height, result.seconds,
            result.redraws, result.consistency, result.lr_psnr,
        )  # fmt: skip


def run(
    plan: Plan,
    stages: tuple[Reader, Computer, Writer],
    made: Made,
    progress: Callable[[Progress], None] | None,
) -> Iterator[Outcome]:
    """Drive the stages, one picture after the other.

    Args:
        plan: what to do.
        stages: what it is done with.
        made: with what results are made, as far as that is known before any picture is read.
        progress: called when a picture begins, while it is computed, and when it has its outcome.

    Raises:
        WeightsError: weights that were chosen are missing, cannot be fetched or fail their checksum.
        CheckpointError: they are damaged.
    """
    read, compute, write = stages
    for index, planned in enumerate(plan.decide(made)):
        if isinstance(planned, Outcome):
            yield planned
            continue
        report = _reporter(progress, planned.input, index, len(plan))
        report(0.0)
        known = made
        try:
            decoded = read(planned)
            known = decoded.made
            outcome: Outcome = write(compute(decoded, report))
        except (WeightsError, CheckpointError):  # not one picture's matter
            raise
        except Exception as error:  # one picture must not end the run of many
            outcome = Failed(planned.input, planned.output, known, error)
        report(1.0)
        yield outcome


def _reporter(
    progress: Callable[[Progress], None] | None, name: str, index: int, total: int
) -> Callable[[float], None]:
    def report(share: float) -> None:
        if progress is not None:
            progress(Progress(name, index, total, share))

    return report
