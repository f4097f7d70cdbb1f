"""Metrics whose library or weights may be missing: whatever their loading raises becomes one sentence."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import StringIO

from srspace.errors import MetricUnavailableError, MetricWeightsError


@contextmanager
def loading(title: str, *, package: str, extra: str, weights: str) -> Iterator[None]:
    """Turn what goes wrong while a metric is imported and its weights are fetched into one kind of error.

    Libraries print and warn while they load; that is held back.

    Args:
        title: the metric's name in messages.
        package: the library that it needs.
        extra: the extra of srspace that installs it.
        weights: the name of the weights, as :func:`srspace.metrics.fetch_weights` takes it.

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
        raise MetricWeightsError(title, weights, _brief(error)) from error


def _brief(error: Exception) -> str:
    text = " ".join(str(error).split()).strip("<>").rstrip(".")
    return text[:80] or type(error).__name__
