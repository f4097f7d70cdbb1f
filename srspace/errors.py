"""Every failure that a user can cause has a class here.

Messages state what is wrong, in one sentence, in the library's words. What a command line adds (its flags, its exit
codes) is the command line's business; for that, errors carry the facts as attributes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any


class SRSpaceError(Exception):
    """Base class: its message is one sentence that a user can act on."""

    def __reduce__(self) -> tuple[Any, ...]:
        # Most subclasses make their message of other arguments, which pickle would have to know.
        return _restored, (type(self), self.args, self.__dict__)


class UsageError(SRSpaceError):
    """The request itself cannot be met, whatever the files hold (bad option, missing input path)."""


class StackSizeError(UsageError):
    """Candidates do not fill whole stacks of a fusion network.

    Attributes:
        size: candidates in a stack.
    """

    def __init__(self, size: int) -> None:
        super().__init__(f"this fusion network takes stacks of {size} candidates.")
        self.size = size


class FewCandidatesError(UsageError):
    """Candidates are to be compared, and there are fewer than two.

    Attributes:
        fixed: whether the mode never draws more.
    """

    def __init__(self, mode: str, count: int, *, fixed: bool) -> None:
        super().__init__(f"where candidates differ takes at least 2 of them; the mode {mode} draws {count}.")
        self.fixed = fixed


class MissingExtraError(UsageError):
    """An optional dependency is not installed.

    Attributes:
        package: what is missing.
        extra: the extra of srspace that installs it.
    """

    def __init__(self, what: str, package: str, extra: str) -> None:
        super().__init__(f"{what} needs {package}, which is not installed: pip install 'srspace[{extra}]'.")
        self.package, self.extra = package, extra


class TokenError(UsageError):
    """A service would be reached from other machines by anybody.

    Attributes:
        host: the address that it would listen on.
    """

    def __init__(self, host: str) -> None:
        super().__init__(f"{host} is reached from other machines, which takes a token.")
        self.host = host


class NoPictureError(UsageError):
    """What the user named holds no picture.

    Attributes:
        recursive: whether folders inside folders were searched.
        left_out: names of files there that are not read.
    """

    def __init__(self, places: Sequence[str], recursive: bool, left_out: Sequence[str] = ()) -> None:
        but = f" that can be read (left out: {', '.join(left_out)})" if left_out else ""
        super().__init__(f"there are no pictures in {', '.join(places)}{but}.")
        self.recursive, self.left_out = recursive, tuple(left_out)


class EarlierResultsError(UsageError):
    """Every input is a result of an earlier run."""

    def __init__(self) -> None:
        super().__init__("all of these pictures are earlier results of srspace.")


class SharedTargetError(UsageError):
    """Two inputs would be written to one place.

    Attributes:
        target: the place.
    """

    def __init__(self, one: str, other: str, target: Path) -> None:
        super().__init__(f"{one} and {other} would both be written to {target}.")
        self.target = target


class ReplacedInputError(UsageError):
    """A result would be written over an input.

    Attributes:
        target: the place.
    """

    def __init__(self, target: Path, name: str) -> None:
        super().__init__(f"{target} would replace the input {name}.")
        self.target = target


class TerminalError(UsageError):
    """A picture would be written to a terminal."""

    def __init__(self) -> None:
        super().__init__("a picture cannot be written to a terminal.")


class ImageError(SRSpaceError):
    """An input is not a picture that can be read: wrong type, damaged, empty or too large."""


class UnreadableError(ImageError):
    """An input's bytes cannot be read; what they hold is not known."""


class TooManyPixelsError(ImageError):
    """An input is larger than what is read."""


class UnknownFormatError(ImageError):
    """An input is not a picture in a known format."""


class ForeignFormatError(ImageError):
    """An input is a file of a kind that is never read.

    Attributes:
        kind: what it is, with an article.
        advice: what to do instead.
    """

    def __init__(self, name: str, kind: str, advice: str) -> None:
        super().__init__(f"{name} is {kind}, which is not read; {advice}.")
        self.kind, self.advice = kind, advice


class MissingReaderError(ImageError):
    """An input needs a library that is not installed.

    Attributes:
        package: what is missing.
        extra: the extra of srspace that installs it.
    """

    def __init__(self, name: str, kind: str, package: str, extra: str) -> None:
        super().__init__(
            f"{name} is {kind}; that needs {package}, which is not installed: pip install 'srspace[{extra}]'."
        )
        self.package, self.extra = package, extra


class EnlargementError(ImageError):
    """The size that was asked for is many times that of the picture.

    Attributes:
        most: how many times as large a result can be.
    """

    def __init__(self, name: str, size: tuple[int, int], target: tuple[int, int], most: int) -> None:
        (width, height), (wide, high) = size, target
        super().__init__(f"{name} has {width}x{height} pixels; {wide}x{high} would be more than {most} times as large.")
        self.most = most


class RestorationError(ImageError):
    """A larger result was asked for of weights that restore pictures and do not enlarge them."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"{name} would have to be enlarged, and these weights restore pictures without enlarging them."
        )


class AnimationError(ImageError):
    """Something was asked for that is done for stills only."""


class OutputError(SRSpaceError):
    """A result cannot be written where it was asked for."""


class OtherResultError(OutputError):
    """A result of another picture stands where a result should go.

    Attributes:
        path: the place.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path} is there already, and was made of another picture.")
        self.path = path


class RecordsInUseError(OutputError):
    """Another run adds to a file of records.

    Attributes:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path} is in use by another run.")
        self.path = path


class NoRecordsError(UsageError):
    """A run is to be resumed, and nothing tells which one."""

    def __init__(self) -> None:
        super().__init__("a run is resumed by its records, and no file of records was named.")


class NotRecordsError(UsageError):
    """A file that records are to be added to holds something else.

    Attributes:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path} holds something other than records of pictures.")
        self.path = path


class NotAFileError(OutputError):
    """Something other than a regular file stands where a result should go.

    Attributes:
        path: the place.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path} cannot be written: it is not a regular file.")
        self.path = path


class PictureSizeError(OutputError):
    """A format cannot hold a picture of that size.

    Attributes:
        format: its name.
        most: the longest side that it holds, in pixels.
    """

    def __init__(self, format: str, most: int, width: int, height: int) -> None:
        super().__init__(f"{format} holds at most {most} pixels a side, not {width}x{height}.")
        self.format, self.most = format, most


class CandidateExistsError(OutputError):
    """Something else stands where a candidate should be saved.

    Attributes:
        path: the place.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path} exists, and is not a candidate of this picture with these settings.")
        self.path = path


class AgreementError(SRSpaceError):
    """A result agrees less with its input than was asked for; it was not written.

    Attributes:
        lr_psnr: how well it agrees, in dB.
        least: how well it should.
    """

    def __init__(self, name: str, lr_psnr: float, least: float) -> None:
        super().__init__(
            f"{name}: the result agrees with its input to {lr_psnr:.2f} dB only, less than the {least:g} dB asked for; "
            "it was not written."
        )
        self.lr_psnr, self.least = lr_psnr, least


class ResourceError(SRSpaceError):
    """The device or the memory that was asked for is not there."""


class DeviceMemoryError(ResourceError):
    """The device ran out of memory, even by the smallest tiles.

    Attributes:
        device: its name.
    """

    def __init__(self, device: str) -> None:
        super().__init__(f"{device} does not have enough memory for this picture.")
        self.device = device


class WorkerError(ResourceError):
    """A process that was to upscale pictures died again and again.

    Attributes:
        device: where it computed.
        times: how often.
    """

    def __init__(self, device: str, times: int) -> None:
        super().__init__(f"the process for {device} died {times} times.")
        self.device, self.times = device, times


class MemoryLimitError(ResourceError):
    """A memory limit does not even hold the result.

    Attributes:
        limit: bytes allowed.
        needed: bytes needed.
    """

    def __init__(self, limit: int, needed: int) -> None:
        super().__init__(
            f"a memory limit of {limit / 2**30:.2g} GiB is too small for this picture: "
            f"{needed / 2**30:.2g} GiB are needed."
        )
        self.limit, self.needed = limit, needed


class BusyError(ResourceError):
    """A service has no room for another picture.

    Attributes:
        seconds: after which it probably has.
    """

    def __init__(self, seconds: int) -> None:
        super().__init__("there is no room for another picture at the moment.")
        self.seconds = seconds


class LateError(ResourceError):
    """A picture was not finished in time."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"the picture was not finished within {seconds:g} seconds.")


class DataError(SRSpaceError):
    """A data set is missing, empty or not laid out as expected."""


class SeveralLrFoldersError(DataError):
    """More than one folder could hold a data set's LR images.

    Attributes:
        folders: them.
    """

    def __init__(self, folder: Path, folders: list[Path]) -> None:
        names = ", ".join(str(path.relative_to(folder)) for path in folders)
        super().__init__(f"{folder} holds several folders of LR images ({names}).")
        self.folders = folders


class TrainingError(SRSpaceError):
    """A training cannot go on: its losses are not finite any more."""


class DataSetMissingError(DataError):
    """A data set of the catalogue is not on this machine.

    Attributes:
        name: its name in the catalogue.
    """

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name


class MetricUnavailableError(DataError):
    """A metric cannot be computed here, because a library or weights are missing."""


class MetricWeightsError(MetricUnavailableError):
    """The weights that a metric needs are not on this machine and could not be fetched.

    Attributes:
        weights: their name, as :func:`srspace.metrics.fetch_weights` takes it.
    """

    def __init__(self, title: str, weights: str, reason: str) -> None:
        super().__init__(f"{title} needs weights that are not here and could not be fetched ({reason}).")
        self.weights = weights


class CheckpointError(SRSpaceError):
    """A model file is damaged, of an unknown layout, or of the wrong kind."""


class WeightsError(SRSpaceError):
    """Weights are not in the catalogue, cannot be fetched, or fail their checksum."""


class NoFusionError(WeightsError):
    """The catalogue has no fusion network for a mode with the weights of a flow.

    Attributes:
        mode: the mode.
        weights: the flow's weights.
        others: fusion networks for that mode, trained on other flows.
    """

    def __init__(self, mode: str, weights: str, others: list[str]) -> None:
        super().__init__(f"the catalogue has no network for the mode {mode} with the weights {weights}.")
        self.mode, self.weights, self.others = mode, weights, others


class NoFlowError(UsageError):
    """A fusion network was named without its flow, which the catalogue does not know either.

    Attributes:
        fusion: the network, as it was named.
    """

    def __init__(self, fusion: str) -> None:
        super().__init__(f"nothing tells which flow's candidates {fusion} was trained on.")
        self.fusion = fusion


def _restored(kind: type[SRSpaceError], arguments: tuple[Any, ...], facts: dict[str, Any]) -> SRSpaceError:
    error = kind.__new__(kind, *arguments)
    error.__dict__.update(facts)
    return error
