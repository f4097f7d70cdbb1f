"""Pictures at addresses such as ``s3://bucket/folder``, by fsspec (https://filesystem-spec.readthedocs.io).

They are fetched into a temporary folder and their results sent from there. A result that is there already is kept; the
content of its input is not looked at.
"""

from __future__ import annotations

import errno
import os
import posixpath
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from srspace.batch.inputs import find_inputs
from srspace.batch.outcome import Done, Failed, Kept, Made, Outcome
from srspace.batch.pipeline import Progress, Run
from srspace.batch.plan import Job
from srspace.batch.records import Records
from srspace.batch.retrying import retrying
from srspace.batch.settings import BatchSettings
from srspace.batch.targets import naming
from srspace.errors import (
    MissingExtraError,
    NoPictureError,
    OutputError,
    UnreadableError,
    UsageError,
)
from srspace.images import format_of, is_picture_path

if TYPE_CHECKING:
    from srspace.batch.workshop import Workshop

_AT_A_TIME = 16
_LEAST_RETRIES = 2

Runs = Callable[[Sequence[Job]], Run]
"""Carries out jobs on local files."""


@dataclass(frozen=True)
class Transfer:
    """A picture and its result, of which at least one is at an address.

    Attributes:
        source: an address or a path.
        target: likewise.
        format: of the result.
    """

    source: str
    target: str
    format: str


def is_address(place: str | Path | None) -> bool:
    """Whether a place is one of fsspec's addresses and not a path."""
    return isinstance(place, str) and "://" in place


class RemotePlan:
    """What a run with addresses does.

    Args:
        inputs: pictures and folders, all at addresses or all local.
        settings: of the run.
        scale: of the weights.

    Raises:
        UsageError: there is no picture, no place for results, results would collide, or something was asked for that
            needs local files.
        MissingExtraError: the package for such addresses is not installed.
    """

    def __init__(self, inputs: Sequence[str | Path], settings: BatchSettings, scale: int) -> None:
        output = settings.output
        if output is None or output == "-":
            raise UsageError("name a folder for the results of pictures at an address, by --output.")
        if settings.save_samples is not None or settings.uncertainty is not None:
            raise UsageError("candidates, and where they differ, are written to local folders, for local pictures.")
        name = naming(f"_{settings.size or f'x{scale}'}" if settings.suffix is None else settings.suffix, settings)
        place = os.fspath(output).rstrip("/")
        self.transfers = [_transfer(source, below, place, name, settings) for source, below in _found(inputs, settings)]
        _check_collisions(self.transfers)
        self._there = set() if settings.overwrite else _files(place)

    def __len__(self) -> int:
        return len(self.transfers)

    @property
    def jobs(self) -> list[Job]:
        """None: what there is to do are transfers."""
        return []

    def decisions(self, made: Made) -> Iterator[Callable[[], Transfer | Outcome]]:
        """As of :class:`srspace.batch.plan.Plan`."""
        return (partial(self._decided, transfer, made) for transfer in self.transfers)

    def _decided(self, transfer: Transfer, made: Made) -> Transfer | Outcome:
        if transfer.target in self._there:
            return Kept(transfer.source, transfer.target, Made(), None, None, made)
        return transfer


class RemoteFlow:
    """Moves the pictures of a run with addresses, in this process."""

    def __init__(
        self, workshop: Workshop, plan: RemotePlan, progress: Callable[[Progress], None] | None, records: Records | None
    ) -> None:
        workshop.load()
        self._workshop, self._plan, self._progress, self._records = workshop, plan, progress, records
        self._stopping = False

    def stop(self) -> None:
        """As of :class:`srspace.batch.pipeline.Flow`."""
        self._stopping = True

    def outcomes(self) -> Generator[Outcome, None, None]:
        """As of :class:`srspace.batch.pipeline.Flow`."""
        decided = [decide() for decide in self._plan.decisions(self._workshop.expected())]
        settings, index = self._workshop.settings, 0
        for start in range(0, len(decided), _AT_A_TIME):
            group = decided[start : start + _AT_A_TIME]
            done = carried_out([t for t in group if isinstance(t, Transfer)], self._workshop.run_jobs, settings)
            for one in group:
                if self._stopping:
                    return
                outcome = next(done) if isinstance(one, Transfer) else one
                if self._records is not None:
                    self._records.add(outcome)
                if self._progress is not None:
                    self._progress(Progress(outcome.input, index, len(self._plan), 1.0))
                index += 1
                yield outcome
                if settings.fail_fast and isinstance(outcome, Failed):
                    return


def carried_out(transfers: Sequence[Transfer], run: Runs, settings: BatchSettings) -> Iterator[Outcome]:
    """Fetch pictures, have their results made, and send those.

    Args:
        transfers: what to do.
        run: makes the results.
        settings: tell how often fetching and sending is tried again.

    Returns:
        An outcome for each, in order.
    """
    if not transfers:
        return
    retries = max(settings.retries, _LEAST_RETRIES)  # networks fail more often than disks
    with TemporaryDirectory(prefix="srspace-") as folder, ThreadPoolExecutor(len(transfers)) as threads:
        jobs = [_local(transfer, Path(folder, str(index))) for index, transfer in enumerate(transfers)]

        def fetch(transfer: Transfer, job: Job) -> Exception | None:
            if not is_address(transfer.source):
                return None
            return _error(lambda: retrying(partial(_fetch, transfer.source, Path(job.input)), retries))

        def send(transfer: Transfer, job: Job, outcome: Outcome) -> Outcome:
            if isinstance(outcome, Done) and is_address(transfer.target):
                error = _error(lambda: retrying(partial(_send, Path(job.output), transfer.target), retries))
                if error is not None:
                    return Failed(transfer.source, transfer.target, outcome.made, error, source=outcome.source)
            return replace(outcome, input=transfer.source, output=transfer.target)

        failed = list(threads.map(fetch, transfers, jobs))
        results = run([job for job, error in zip(jobs, failed, strict=True) if error is None])
        sent = []
        for transfer, job, error in zip(transfers, jobs, failed, strict=True):
            outcome = next(results) if error is None else Failed(transfer.source, transfer.target, Made(), error)
            sent.append(threads.submit(send, transfer, job, outcome))
        for future in sent:
            yield future.result()


def _local(transfer: Transfer, folder: Path) -> Job:
    """The job on local files; names stay, because marks tell them."""
    source, target = Path(transfer.source), Path(transfer.target)
    if is_address(transfer.source):
        source = folder / "in" / posixpath.basename(transfer.source)
    if is_address(transfer.target):
        target = folder / "out" / posixpath.basename(transfer.target)
    return Job(source, target, transfer.format)


def _error(work: Callable[[], object]) -> Exception | None:
    try:
        work()
    except Exception as error:
        return error
    return None


def _fetch(address: str, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    fs, key = _filesystem(address)
    try:
        fs.get_file(key, str(path))
    except Exception as error:
        raise UnreadableError(f"{address} cannot be read: {error}.") from _as_os_error(error)


def _send(path: Path, address: str) -> None:
    fs, key = _filesystem(address)
    try:
        fs.makedirs(posixpath.dirname(key), exist_ok=True)
        fs.put_file(str(path), key)
    except Exception as error:
        raise OutputError(f"{address} cannot be written: {error}.") from _as_os_error(error)


def _as_os_error(error: Exception) -> OSError:
    """What tells whether to try again: errors of a network are not all of Python's."""
    return error if isinstance(error, OSError) else OSError(errno.EIO, str(error))


def _filesystem(address: str) -> tuple[Any, str]:
    import fsspec

    scheme = address.partition("://")[0]
    try:
        fs, key = fsspec.core.url_to_fs(address)
    except ImportError as error:
        raise MissingExtraError(f"{scheme}://", f"fsspec's package for {scheme}", "remote") from error
    except ValueError as error:
        raise UsageError(f"{address} cannot be reached: {error}.") from error
    return fs, str(key)


def _found(inputs: Sequence[str | Path], settings: BatchSettings) -> Iterator[tuple[str, str]]:
    """Every picture, and its folder below the input folder that it was found in."""
    if not any(is_address(place) for place in inputs):
        for found in find_inputs(inputs, recursive=settings.recursive):
            if found.streamed:
                raise UsageError("what comes through a pipe has no name for a result at an address.")
            if found.left_out is None:
                yield str(found.path), "" if found.root is None else found.folder.as_posix()
        return
    if not all(is_address(place) for place in inputs):
        raise UsageError("pictures at an address cannot be mixed with local ones.")
    count = 0
    for place in map(str, inputs):
        for address, below in _expanded(place, recursive=settings.recursive):
            count += 1
            yield address, below
    if not count:
        raise NoPictureError([str(place) for place in inputs], settings.recursive)


def _expanded(address: str, *, recursive: bool) -> Iterator[tuple[str, str]]:
    fs, key = _filesystem(address)
    try:
        if fs.isfile(key):
            yield address, ""
            return
        names = sorted(fs.find(key, maxdepth=None if recursive else 1))
    except Exception as error:
        raise UsageError(f"{address} cannot be read: {error}.") from error
    for name in names:
        below = posixpath.relpath(name, key)
        hidden = any(part.startswith(".") for part in below.split("/"))
        if is_picture_path(Path(name)) and not hidden:
            yield fs.unstrip_protocol(name), posixpath.dirname(below)


def _transfer(source: str, below: str, place: str, name: Callable[[Path], str], settings: BatchSettings) -> Transfer:
    file = name(Path(source))
    target = posixpath.join(place, "" if below == "." else below, file)
    return Transfer(source, target, settings.format or format_of(Path(file)))


def _check_collisions(transfers: Iterable[Transfer]) -> None:
    writers: dict[str, str] = {}
    sources = {transfer.source for transfer in transfers}
    for transfer in transfers:
        other = writers.setdefault(transfer.target, transfer.source)
        if other != transfer.source:
            raise UsageError(f"{other} and {transfer.source} would both be written to {transfer.target}.")
        if transfer.target in sources:
            raise UsageError(f"{transfer.target} would replace an input.")


def _files(place: str) -> set[str]:
    """What there is below the results' folder, found with one request for many."""
    if not is_address(place):
        return {str(path) for path in Path(place).rglob("*")}
    fs, key = _filesystem(place)
    try:
        return {fs.unstrip_protocol(name) for name in fs.find(key)}
    except FileNotFoundError:
        return set()
    except Exception as error:
        raise UsageError(f"{place} cannot be read: {error}.") from error
