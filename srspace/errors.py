"""Every failure that a user can cause has a class here, with the exit code the command line gives it."""

from __future__ import annotations

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_WEIGHTS = 3


class SRSpaceError(Exception):
    """Base class: its message is one sentence that a user can act on."""

    exit_code = EXIT_FAILED


class UsageError(SRSpaceError):
    """The request itself cannot be met, whatever the files hold (bad option, missing input path)."""

    exit_code = EXIT_USAGE


class ImageError(SRSpaceError):
    """An input is not a picture that can be read: wrong type, damaged, empty or too large."""


class OutputError(SRSpaceError):
    """A result cannot be written where it was asked for."""


class SamplingError(SRSpaceError):
    """No usable candidate came out of the flow, at any temperature."""


class ResourceError(SRSpaceError):
    """The device or the memory that was asked for is not there."""


class DataError(SRSpaceError):
    """A data set is missing, empty or not laid out as expected."""


class CheckpointError(SRSpaceError):
    """A model file is damaged, of an unknown layout, or of the wrong kind."""

    exit_code = EXIT_WEIGHTS


class WeightsError(SRSpaceError):
    """Weights are not in the catalogue, cannot be fetched, or fail their checksum."""

    exit_code = EXIT_WEIGHTS
