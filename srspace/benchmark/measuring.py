"""Measuring one image: every row's outputs, their scores and their costs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor

from srspace.benchmark.drawing import Cost, Drawing
from srspace.benchmark.memory import PeakMemory
from srspace.benchmark.methods import Methods
from srspace.benchmark.records import Record, precision_word
from srspace.benchmark.scoring import ImageScorer
from srspace.benchmark.stopwatch import seconds_of
from srspace.benchmark.tasks import Task, sharing

Report = Callable[[str, float], None]


class Measurement:
    """Measures tasks on one image.

    Args:
        methods: what makes the rows' outputs.
        scorer: scores outputs against the image.
        lr: ``(3, h, w)`` float32 in [0, 1].
        dataset: name of the data set, for the records.
        image: name of the image, likewise.
        report: called with what is being done and the work done so far; see :func:`srspace.benchmark.tasks.units`.
    """

    def __init__(
        self, methods: Methods, scorer: ImageScorer, lr: Tensor, *, dataset: str, image: str, report: Report
    ) -> None:
        self.methods, self.scorer, self.lr = methods, scorer, lr
        self.dataset, self.image, self.report = dataset, image, report
        self._done = 0.0

    def run(self, tasks: list[Task]) -> Iterator[Record]:
        """Measure the tasks; a record each, as soon as it is known."""
        for task in tasks:
            if not task.row.sampled:
                self.report(task.row.label, self._done)
                yield self._plain(task)
                self._done += 1
        for group in sharing(tasks):
            count = max(task.row.samples for task in group)
            text = f"candidates at tau {group[0].row.temperature:g}"
            self.report(text, self._done)
            before = self._done

            def drawn(share: float, text: str = text, before: float = before, count: int = count) -> None:
                self.report(text, before + share * count)

            with Drawing(self.methods, self.lr, [task.row for task in group], drawn) as drawing:
                self._done = before + count
                yield from self._averaged([task for task in group if task.row.scored], drawing)
                for task in group:
                    if not task.row.scored:
                        self.report(task.row.label, self._done)
                        yield self._merged(task, drawing)

    def _plain(self, task: Task) -> Record:
        made: list[Tensor] = []
        device, memory = self.methods.device, PeakMemory(self.methods.device)
        with memory:
            seconds = seconds_of(lambda: made.append(self.methods.plain(task.row, self.lr)), device)
        values = self.scorer.score(self.scorer.view(made[0]), task.missing)
        return self._record(task, values, Cost(seconds, memory.peak))

    def _merged(self, task: Task, drawing: Drawing) -> Record:
        values = self.scorer.score(self.scorer.view(drawing.image(task.row)), task.missing)
        return self._record(task, values, drawing.cost(task.row), redraws=_redraws(task, drawing))

    def _averaged(self, tasks: list[Task], drawing: Drawing) -> Iterator[Record]:
        """Rows whose scores are the mean over several outputs, as those of single candidates in the paper."""
        for row in drawing.scored:
            group = [task for task in tasks if drawing.spooled(task.row) == row]
            keys = frozenset().union(*(task.missing for task in group))
            gathered = {task.key: self.scorer.gathering(task.missing) for task in group}
            scores: list[dict[str, float]] = []
            for index, image in enumerate(drawing.results(row)):
                output = self.scorer.view(image)
                scores.append(self.scorer.score(output, keys))
                for task in group:
                    if index < task.row.samples:
                        gathered[task.key].add(output)
            for task in group:
                wanted, own = self.scorer.recorded(task.missing), scores[: task.row.samples]
                each = {key: [score[key] for score in own] for key in own[0] if key in wanted}
                values = {key: sum(found) / len(found) for key, found in each.items()} | gathered[task.key].values()
                redraws = _redraws(task, drawing)
                yield self._record(task, values, drawing.cost(task.row), candidates=each, redraws=redraws)

    def _record(self, task: Task, values: dict[str, float], cost: Cost, **rest: Any) -> Record:
        costs = {"seconds": round(cost.seconds, 4), "memory": round(cost.memory / 2**20, 1)}
        about = {"torch": torch.__version__, "weights_name": self.methods.settings.weights}
        settings = task.identity | about
        if "precision" in settings:
            settings["precision"] = precision_word(settings["precision"])
        return Record(task.key, self.dataset, self.image, task.row.name, values | costs, settings=settings, **rest)


def _redraws(task: Task, drawing: Drawing) -> list[dict[str, Any]]:
    return [asdict(redraw) for redraw in drawing.redraws if redraw.index < task.row.samples]
