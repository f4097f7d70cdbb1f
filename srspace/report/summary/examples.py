"""The images of a benchmark that come out best and worst: a crop of what each row makes of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from srspace.benchmark.methods import Methods
from srspace.benchmark.results import Results
from srspace.benchmark.rows import Row
from srspace.benchmark.settings import Settings
from srspace.data.datasets import Dataset
from srspace.devices import pick_device
from srspace.metrics import describe, to_uint8
from srspace.report.plane import first_perception
from srspace.sampling import Sampler
from srspace.spread import busiest

EACH = 2
"""How many of the best and how many of the worst images are shown."""

SIDE = 96
"""Of a crop, in output pixels."""


@dataclass(frozen=True)
class Crop:
    """A part of one picture.

    Attributes:
        row: name of the row; nothing for the input and the original.
        label: what people call it.
        image: ``(S, S, 3)`` uint8, smaller where the picture is.
        score: of the whole picture, by the metric that ranks the images.
    """

    row: str
    label: str
    image: NDArray[np.uint8]
    score: float | None = None


@dataclass(frozen=True)
class Example:
    """One image.

    Attributes:
        image: its name.
        best: whether it is among the best; else it is among the worst.
        crops: the input (enlarged pixel by pixel), the original, and what each row makes of it.
    """

    image: str
    best: bool
    crops: Sequence[Crop]


def ranking(results: Results) -> tuple[str, str] | None:
    """By which row and metric images are ranked: the first metric of perception, else the first with a direction.

    The row is the best one by that metric. None where there is no such metric.
    """
    directed = [name for name in results.metrics if describe(name).higher_is_better is not None]
    for metric in (first_perception(results), *directed):
        means = {name: results.mean(name, metric) for name, _ in results.rows} if metric else {}
        there = {name: mean for name, mean in means.items() if mean is not None and np.isfinite(mean)}
        if there:
            best = max if describe(metric).higher_is_better else min
            return best(there, key=lambda name: there[name]), metric
    return None


def examples(
    dataset: Dataset, settings: Settings, results: Results, *, progress: Callable[[str, float], None] | None = None
) -> list[Example]:
    """Make the pictures of the best and the worst images again, and cut out where the best row is furthest off.

    Args:
        dataset: that was measured.
        settings: it was measured with.
        results: what came out.
        progress: called with what is being done and the share done.

    Raises:
        SRSpaceError: an image cannot be read, or a row cannot be computed any more.
    """
    rank = ranking(results)
    if rank is None:
        return []
    row, metric = rank
    scores = results.scores(row, metric)
    order = sorted(scores, key=lambda name: scores[name], reverse=bool(describe(metric).higher_is_better))
    chosen = dict.fromkeys(order[:EACH], True) | dict.fromkeys(order[EACH:][-EACH:], False)
    methods = Methods(settings, dataset.scale, pick_device(settings.device))
    methods.prepare(settings.rows)
    pairs = {pair.name: pair for pair in dataset.pairs}
    found = []
    for number, (name, best) in enumerate(chosen.items()):
        if progress is not None:
            progress(f"examples: {name}", number / len(chosen))
        hr, lr = pairs[name].load(dataset.scale)
        images = outputs(methods, settings.rows, lr.float() / 255)
        focus = next(image for made, image in images.items() if made.name == row)
        top, left = busiest(_error(focus, hr), SIDE)
        found.append(Example(name, best, _crops(images, hr, lr, dataset.scale, (top, left), results, name, metric)))
    return found


def outputs(methods: Methods, rows: Sequence[Row], lr: Tensor) -> dict[Row, Tensor]:
    """What each row makes of an image; of a row of single candidates, the first one.

    Rows whose candidates are drawn alike share them.

    Args:
        methods: prepared for these rows.
        rows: which ones.
        lr: ``(3, h, w)`` float32 in [0, 1].

    Returns:
        ``(3, H, W)`` float32 in [0, 1] by row, in the order of ``rows``.
    """
    found = {row: methods.plain(row, lr) for row in rows if not row.sampled}
    drawn = sorted((row for row in rows if row.sampled), key=_drawn_as)
    for _, group in groupby(drawn, key=_drawn_as):
        sharing = list(group)
        sampler = Sampler(methods.upscaler.prepared, lr, methods.sampling(sharing[0]))
        images = sampler.collapse_all([methods.maker(row) for row in sharing])
        found |= dict(zip(sharing, images, strict=True))
    return {row: found[row] for row in rows}


def _drawn_as(row: Row) -> tuple[float, str]:
    return row.temperature or 0.0, row.latents


def _error(image: Tensor, hr: Tensor) -> NDArray[np.float32]:
    difference = image - hr.float() / 255
    return np.asarray(difference.square().mean(0).sqrt().numpy(), np.float32)


def _crops(
    images: Mapping[Row, Tensor], hr: Tensor, lr: Tensor, scale: int, place: tuple[int, int], results: Results,
    name: str, metric: str,
) -> list[Crop]:  # fmt: skip
    def cut(image: Tensor) -> NDArray[np.uint8]:
        rows, columns = (slice(start, start + SIDE) for start in place)
        return np.ascontiguousarray(image[:, rows, columns].permute(1, 2, 0).numpy())

    enlarged = lr.repeat_interleave(scale, 1).repeat_interleave(scale, 2)
    crops = [Crop("", "input", cut(enlarged)), Crop("", "original", cut(hr))]
    for row, image in images.items():
        score = results.scores(row.name, metric).get(name)
        crops.append(Crop(row.name, row.label, cut(to_uint8(image)), score))
    return crops
