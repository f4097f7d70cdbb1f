"""Two results side by side: differences with paired bootstrap confidence intervals.

Efron, Tibshirani, "An Introduction to the Bootstrap", Chapman and Hall 1993.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from srspace.benchmark.results import Results
from srspace.benchmark.rows import SCORED, parse_row
from srspace.config import SamplingConfig
from srspace.errors import DataError, UsageError
from srspace.metrics import describe
from srspace.suggestions import did_you_mean

RESAMPLES = 10_000


@dataclass(frozen=True)
class Difference:
    """How one metric of two rows differs over the same images.

    Attributes:
        row_a: name of the first row.
        row_b: name of the second row.
        metric: name of the metric.
        a: mean of the first.
        b: mean of the second.
        difference: ``b - a``.
        low: lower end of the confidence interval of the difference; None for a single image.
        high: upper end.
        images: how many images both have.
        better: ``"a"``, ``"b"``, or None where the interval holds 0 or the metric has no direction.
    """

    row_a: str
    row_b: str
    metric: str
    a: float
    b: float
    difference: float
    low: float | None
    high: float | None
    images: int
    better: str | None

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def bootstrap(
    differences: NDArray[np.float64], *, confidence: float = 0.95, resamples: int = RESAMPLES, seed: int = 0
) -> tuple[float, float]:
    """Percentile interval of the mean of paired differences, images drawn with replacement.

    Args:
        differences: one per image; at least two.
        confidence: coverage, between 0 and 1.
        resamples: how many times the images are drawn.
        seed: of the draws; the same seed gives the same interval.

    Raises:
        ValueError: there are fewer than two differences, or the confidence is out of range.
    """
    if len(differences) < 2 or not 0 < confidence < 1:
        raise ValueError("a bootstrap needs two differences and a confidence between 0 and 1")
    generator = np.random.default_rng(seed)
    means = np.empty(resamples)
    step = max(1, 4_000_000 // len(differences))
    for start in range(0, resamples, step):
        count = min(step, resamples - start)
        index = generator.integers(len(differences), size=(count, len(differences)))
        means[start : start + count] = differences[index].mean(1)
    tail = (1 - confidence) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    return float(low), float(high)


def compare(
    a: Results,
    b: Results,
    *,
    row_a: str | None = None,
    row_b: str | None = None,
    confidence: float = 0.95,
    seed: int = 0,
) -> list[Difference]:
    """Differences of every metric that both have, over the images that both have.

    Images are paired by name and must be the same files.

    Args:
        a: first results.
        b: second results.
        row_a: compare this row of ``a``, by name, label or words such as ``mean:5`` (None: every row that both have).
        row_b: with that row of ``b`` (None: the same).
        confidence: coverage of the intervals.
        seed: of the bootstrap.

    Raises:
        DataError: the results are of different images or rules, or have nothing in common.
        UsageError: there is no such row, or the confidence is out of range.
    """
    if not 0 < confidence < 1:
        raise UsageError(f"the confidence must lie between 0 and 1, not {confidence}.")
    if a.protocol != b.protocol:
        raise DataError(f"the two results follow different protocols, {a.protocol} and {b.protocol}.")
    if row_a is not None or row_b is not None:
        rows = [(_find_row(a, row_a or row_b or ""), _find_row(b, row_b or row_a or ""))]
    else:
        rows = [(name, name) for name, _ in a.rows if name in dict(b.rows)]
    metrics = [m for m in a.metrics if m in b.metrics and a.key_of(m) == b.key_of(m)]
    found = [d for x, y in rows for m in metrics if (d := _difference(a, b, x, y, m, confidence, seed)) is not None]
    if not found:
        raise DataError("the two results have no row, metric and image in common.")
    return found


def _find_row(results: Results, text: str) -> str:
    """The name of a row that was asked for by name, by label, or as on the command line of a benchmark."""
    for name, label in results.rows:
        if text in (name, label):
            return name
    with suppress(UsageError):
        name = parse_row(text, temperature=SamplingConfig.temperature, scored=SCORED).name
        if name in dict(results.rows):
            return name
    names = dict(results.rows)
    raise UsageError(f"there is no row {text!r}{did_you_mean(text, names)}; the rows are {', '.join(names)}.")


def _difference(
    a: Results, b: Results, row_a: str, row_b: str, metric: str, confidence: float, seed: int
) -> Difference | None:
    scores_a, scores_b = a.scores(row_a, metric), b.scores(row_b, metric)
    hashes_a = {r.image: r.settings.get("hr") for r in a.of_row(row_a)}
    hashes_b = {r.image: r.settings.get("hr") for r in b.of_row(row_b)}
    images = [name for name in scores_a if name in scores_b and np.isfinite([scores_a[name], scores_b[name]]).all()]
    if changed := [name for name in images if hashes_a[name] != hashes_b[name]]:
        raise DataError(f"{changed[0]} is not the same image in the two results.")
    if not images:
        return None
    x = np.array([scores_a[name] for name in images])
    y = np.array([scores_b[name] for name in images])
    low, high = bootstrap(y - x, confidence=confidence, seed=seed) if len(images) > 1 else (None, None)
    better = None
    direction = describe(metric).higher_is_better
    if direction is not None and low is not None and high is not None and (low > 0 or high < 0):
        better = "b" if (low > 0) == direction else "a"
    return Difference(
        row_a, row_b, metric, float(x.mean()), float(y.mean()), float((y - x).mean()), low, high, len(images), better
    )
