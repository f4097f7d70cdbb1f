"""Telling what each part of a drawing costs: what candidates share, the candidates, and each sink."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from srspace.benchmark.stopwatch import Stopwatch
from srspace.models import RRDBFeatures
from srspace.models.inference import CandidateModel
from srspace.modes import Sink, SinkMaker, TileInputs

SHARED = "shared"
"""Label of what is computed once for all candidates: the encoder and the conditions."""
DRAWS = "draws"
"""Label of drawing, decoding, checking and, where they break, redrawing candidates."""


class TimedModel:
    """A model whose encoder and conditions are timed under :data:`SHARED`.

    Args:
        model: the model.
        watch: the stopwatch.
    """

    def __init__(self, model: CandidateModel, watch: Stopwatch) -> None:
        self.model, self.watch = model, watch
        self.device: torch.device = model.device
        self.scale: int = model.scale
        self.latent_shapes, self.bytes_per_pixel = model.latent_shapes, model.bytes_per_pixel
        self.select, self.decode, self.regression = model.select, model.decode, model.regression

    def features(self, lr: Tensor) -> RRDBFeatures:
        """See :class:`srspace.models.inference.CandidateModel`."""
        with self.watch.part(SHARED):
            return self.model.features(lr)

    def conditions(self, features: RRDBFeatures, *, once: bool = False) -> Any:
        """See :class:`srspace.models.inference.CandidateModel`."""
        with self.watch.part(SHARED):
            return self.model.conditions(features, once=once)


def timed_maker(maker: SinkMaker, watch: Stopwatch, label: Hashable) -> SinkMaker:
    """A maker of the same sinks; what they do, and the placing of their results, is timed under ``label``."""

    def make(inputs: TileInputs) -> Sink:
        with watch.part(label, then=DRAWS):
            return _TimedSink(maker.make(inputs), watch, label)

    return replace(maker, make=make)


class _TimedSink:
    def __init__(self, sink: Sink, watch: Stopwatch, label: Hashable) -> None:
        self.sink, self.watch, self.label = sink, watch, label

    def add(self, indices: Sequence[int], images: Tensor) -> None:
        with self.watch.part(self.label):
            self.sink.add(indices, images)

    def result(self) -> Tensor:
        with self.watch.part(self.label, then=self.label):
            return self.sink.result()
