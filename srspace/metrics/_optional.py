"""Metrics whose library or weights may be missing: one sentence that names the command which brings them."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import StringIO

from srspace.errors import DataError


class MetricUnavailableError(DataError):
    """A metric cannot be computed here; the message says why and which command helps."""


@contextmanager
def loading(title: str, *, package: str, extra: str, weights: str) -> Iterator[None]:
    """Turn what goes wrong while a metric is imported and its weights are fetched into :class:`MetricUnavailableError`.

    Libraries print and warn while they load; that is held back.

    Args:
        title: the metric's name in messages.
        package: the library that it needs.
        extra: the extra of srspace that installs it.
        weights: the command that fetches the weights while there is a network.

    Raises:
        MetricUnavailableError: the library or the weights are missing.
    """
    try:
        with warnings.catch_warnings(), redirect_stdout(StringIO()), redirect_stderr(StringIO()):
            warnings.simplefilter("ignore")
            yield
    except ImportError as error:
        raise MetricUnavailableError(
            f"{title} needs {package}, which is not installed: pip install 'srspace[{extra}]'."
        ) from error
    except Exception as error:  # downloaders raise anything from URLError to the errors of their own HTTP client
        raise MetricUnavailableError(
            f"{title} needs weights that are not here and could not be fetched ({_brief(error)}): "
            f"run '{weights}' with a network."
        ) from error


def _brief(error: Exception) -> str:
    text = " ".join(str(error).split()).strip("<>").rstrip(".")
    return text[:80] or type(error).__name__
