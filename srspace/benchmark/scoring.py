"""The metrics of a benchmark behind one object; what cannot be computed here is left out, with the reason."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Set
from functools import partial

import torch
from torch import Tensor

from srspace.errors import MetricUnavailableError
from srspace.metrics import Context, Gatherer, Metric, Reference, Score, View, every, find


class Scorer:
    """Computes the chosen metrics, and those that are recorded always.

    Args:
        metrics: names; costs among them are passed over, since they are not computed from images.
        context: the rules to compute them by.

    Attributes:
        missing: what cannot be computed here, and why, by the key that records file it under.
    """

    def __init__(self, metrics: Iterable[str], context: Context) -> None:
        self.context = context
        chosen = [metric for metric in map(find, metrics) if metric.kind != "cost"]
        beside = [metric for metric in every().values() if metric.always and metric.kind != "cost"]
        self.columns = {self.key_of(metric): metric for metric in chosen}
        self.metrics = self.columns | {self.key_of(metric): metric for metric in beside}
        self.missing: dict[str, MetricUnavailableError] = {}
        self.scores: dict[str, Score] = {}
        self.gatherers: dict[str, Callable[[], Gatherer]] = {}
        self._loaded = False

    def key_of(self, metric: Metric) -> str:
        """Under which name a record files the metric."""
        return metric.key(self.context.lpips_net)

    def keys(self, candidates: int = 0) -> set[str]:
        """Keys that the columns need of a row that is scored over so many candidates (0: over one output)."""
        return {key for key, metric in self.columns.items() if metric.candidates <= candidates}

    def load(self) -> None:
        """Load the networks; those that are not to be had are noted in :attr:`missing`. Cheap to call again."""
        if self._loaded:
            return
        self._loaded = True
        for key, metric in self.metrics.items():
            try:
                if metric.candidates:
                    self.gatherers[key] = metric.make(self.context)
                else:
                    self.scores[key] = self.context.score(metric.name)
            except MetricUnavailableError as error:
                self.missing[key] = error

    def available(self) -> set[str]:
        """Keys of columns that can be computed here."""
        self.load()
        return set(self.columns) - set(self.missing)

    def image(self, hr: Tensor, lr: Tensor) -> ImageScorer:
        """A scorer for outputs that belong to one image.

        Args:
            hr: ``(3, H, W)`` uint8.
            lr: ``(3, h, w)`` uint8.
        """
        self.load()
        hr_view, lr_view = (View(image.to(self.context.device)) for image in (hr, lr))
        return ImageScorer(self, Reference(hr_view, lr_view))


class ImageScorer:
    """Scores outputs against one reference, whose features are computed once; see :meth:`Scorer.image`."""

    def __init__(self, scorer: Scorer, reference: Reference) -> None:
        self.scorer, self.reference = scorer, reference
        self._beside = set(scorer.metrics) - set(scorer.columns)

    def view(self, sr: Tensor) -> View:
        """An output ``(3, H, W)`` in [0, 1], rounded to 8 bits, where metrics are computed."""
        return View.of(sr.to(self.scorer.context.device))

    @torch.no_grad()
    def score(self, output: View, keys: Set[str]) -> dict[str, float]:
        """Scores of one output; those that are not defined for an image as small as this are NaN.

        Args:
            output: see :meth:`view`.
            keys: which scores to compute, beside those that are recorded always.
        """
        wanted = self.recorded(keys)
        scores = {key: compute for key, compute in self.scorer.scores.items() if key in wanted}
        return {key: _figure(partial(compute, output, self.reference)) for key, compute in scores.items()}

    def recorded(self, keys: Set[str]) -> Set[str]:
        """The keys and, beside them, those of the metrics that are recorded always."""
        return keys | self._beside

    def gathering(self, keys: Set[str]) -> Gathering:
        """What takes the candidates of a row for those of the keys that are taken over several."""
        made = {key: make() for key, make in self.scorer.gatherers.items() if key in keys}
        return Gathering(made, self.reference)


class Gathering:
    """Gathers one row's candidates; see :meth:`ImageScorer.gathering`."""

    def __init__(self, gatherers: dict[str, Gatherer], reference: Reference) -> None:
        self.gatherers, self.reference = gatherers, reference
        self._undefined: set[str] = set()

    @torch.no_grad()
    def add(self, output: View) -> None:
        """Take one candidate."""
        for key, gatherer in self.gatherers.items():
            if key not in self._undefined and not _defined(partial(gatherer.add, output, self.reference)):
                self._undefined.add(key)

    def values(self) -> dict[str, float]:
        """The figures; NaN where one is not defined for an image as small as this."""
        return {key: math.nan if key in self._undefined else g.value() for key, g in self.gatherers.items()}


def _figure(compute: Callable[[], Tensor]) -> float:
    figures: list[Tensor] = []
    return figures[0].item() if _defined(lambda: figures.append(compute())) else math.nan


def _defined(compute: Callable[[], object]) -> bool:
    """Run ``compute``; false where the image is too small for it."""
    try:
        compute()
    except ValueError:
        return False
    except RuntimeError as error:
        if not _too_small(error):
            raise
        return False
    return True


def _too_small(error: RuntimeError) -> bool:
    """Whether torch says that nothing of an image is left after its convolutions and poolings."""
    text = str(error)
    return "too small" in text or "Kernel size can't be greater" in text or "size can't be greater" in text
