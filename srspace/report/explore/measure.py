"""Metrics of the pictures of a page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from srspace.errors import MetricUnavailableError
from srspace.metrics import Context, Reference, View, find
from srspace.metrics.metric import Score
from srspace.report.explore.settings import ExploreSettings
from srspace.report.explore.space import Shown
from srspace.tf32 import exact_float32


@exact_float32()
@torch.no_grad()
def measured(
    pictures: Sequence[Shown],
    hr: Tensor,
    lr: Tensor,
    settings: ExploreSettings,
    *,
    progress: Callable[[float], None] = lambda done: None,
) -> tuple[list[Shown], dict[str, str]]:
    """The pictures with their scores, in RGB without a border cut.

    Args:
        pictures: to be measured.
        hr: the original, ``(3, H, W)`` uint8.
        lr: the input, ``(3, h, w)`` uint8.
        settings: which metrics.
        progress: called with the share done.

    Returns:
        The pictures, and which metrics are left out, with the reason.
    """
    context = Context(torch.device("cpu"), lpips_net=settings.lpips_net)
    scores: dict[str, Score] = {}
    missing: dict[str, str] = {}
    for name in settings.metrics:
        try:
            scores[name] = context.score(name)
        except MetricUnavailableError as error:
            missing[name] = f"{find(name).title} is left out: {error}"
    reference = Reference(View(hr), View(lr))
    found = []
    for number, shown in enumerate(pictures, start=1):
        view = View(torch.from_numpy(shown.image).permute(2, 0, 1))
        values: dict[str, float] = {}
        for name, score in scores.items():
            if name in missing:
                continue
            try:
                values[name] = float(score(view, reference))
            except ValueError:  # the image is too small for it
                missing[name] = f"{find(name).title} is left out: it is not defined for a picture as small as this."
        found.append(replace(shown, scores=values))
        progress(number / len(pictures))
    return found, missing
