"""Running a benchmark: every row on every image, each candidate drawn once, each score kept."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from dataclasses import replace

import torch

from srspace.benchmark.identity import Identities
from srspace.benchmark.measuring import Measurement
from srspace.benchmark.methods import Methods
from srspace.benchmark.records import Record, RecordFile, precision_word
from srspace.benchmark.results import Results
from srspace.benchmark.rows import Row
from srspace.benchmark.scoring import Scorer
from srspace.benchmark.settings import Settings
from srspace.benchmark.tasks import Task, open_tasks, possible, units
from srspace.data.datasets import Dataset
from srspace.data.pairs import Pair
from srspace.devices import out_of_memory, pick_device, pick_precision
from srspace.errors import DataError, SRSpaceError
from srspace.metrics import Context
from srspace.tf32 import exact_float32

Progress = Callable[[str, float], None]


class Benchmark:
    """Measures rows on a data set; what the record file holds already is not measured again.

    Args:
        dataset: the images.
        settings: what to measure.
        records: where scores are kept; a line is added as soon as it is known.
        progress: called with what is being done and the share done.
        words: puts a failure into words for the results; a command line may add what helps.

    Raises:
        UsageError: settings are out of range or do not go together.
        ResourceError: the device is not there.
    """

    def __init__(
        self,
        dataset: Dataset,
        settings: Settings,
        records: RecordFile,
        *,
        progress: Progress | None = None,
        words: Callable[[SRSpaceError], str] = str,
    ) -> None:
        self.dataset, self.settings, self.records = dataset, settings, records
        self.progress, self.words = progress or (lambda text, share: None), words
        self.device = pick_device(settings.device)
        self.dtype = pick_precision(settings.precision, self.device)
        # MPS has no float64, which PSNR and SSIM are taken in.
        where = torch.device("cpu") if self.device.type == "mps" else self.device
        protocol = settings.protocol
        self.scorer = Scorer(
            settings.metrics,
            Context(
                where,
                lpips_net=settings.lpips_net,
                y_only=protocol.y_only,
                border=protocol.border(dataset.scale),
            ),
        )
        self.identities = Identities(settings, scale=dataset.scale, device=self.device, dtype=self.dtype)

    @exact_float32()
    def run(self, limit: int | None = None) -> Results:
        """Measure what is missing and gather everything.

        Args:
            limit: use the first so many images only.

        Raises:
            SRSpaceError: nothing can be measured at all. What goes wrong with one image is noted in the results.
        """
        pairs = self.dataset.pairs[:limit]
        if not pairs:
            raise DataError(f"{self.dataset.name} has no images.")
        known = self.records.load()
        tasks = {pair: self._open(pair, known) for pair in pairs}
        if any(tasks.values()):
            # Only now are the metrics loaded: what cannot be computed here is no reason to measure again.
            self.progress("loading metrics", 0.0)
            available = self.scorer.available()
            tasks = {pair: possible(todo, available, known) for pair, todo in tasks.items()}
        failures = self._measure(tasks, known)
        found = [
            replace(known[key], dataset=self.dataset.name, image=pair.name, row=row.name)
            for pair in pairs
            for row in self.settings.rows
            if (key := self.identities.of(pair, row)[0]) in known
        ]
        return self._results([pair.name for pair in pairs], found, failures)

    def _open(self, pair: Pair, known: dict[str, Record]) -> list[Task]:
        def wanted(row: Row) -> set[str]:
            return self.scorer.keys(row.scored)

        return open_tasks(self.settings.rows, lambda row: self.identities.of(pair, row), wanted, known)

    def _measure(self, tasks: dict[Pair, list[Task]], known: dict[str, Record]) -> dict[str, str]:
        """Measure all tasks, keeping every score as soon as it is known; returns what failed, by image."""
        methods = Methods(self.settings, self.dataset.scale, self.device)
        methods.prepare({task.row for todo in tasks.values() for task in todo})
        total, done = sum(units(todo) for todo in tasks.values()), 0.0
        failures: dict[str, str] = {}
        for pair, todo in tasks.items():
            if not todo:
                continue

            def report(text: str, share: float, start: float = done, name: str = pair.name) -> None:
                self.progress(f"{name}: {text}", (start + share) / total)

            try:
                hr, lr = pair.load(self.dataset.scale)
                measurement = Measurement(
                    methods, self.scorer.image(hr, lr), lr.float() / 255,
                    dataset=self.dataset.name, image=pair.name, report=report,
                )  # fmt: skip
                for record in measurement.run(todo):
                    known[record.key] = known[record.key].merged(record) if record.key in known else record
                    self.records.append(record)
            except SRSpaceError as error:
                failures[pair.name] = self.words(error)
            except (RuntimeError, MemoryError, OSError) as error:
                if not out_of_memory(error):
                    raise
                failures[pair.name] = f"{pair.name} does not fit into the device's memory."
            done += units(todo)
        return failures

    def _results(self, images: list[str], found: list[Record], failures: dict[str, str]) -> Results:
        settings, protocol = self.settings, self.settings.protocol
        columns = self.scorer.columns
        unavailable = {key: self.words(error) for key, error in self.scorer.missing.items() if key in columns}
        return Results(
            dataset=self.dataset.name,
            scale=self.dataset.scale,
            images=images,
            rows=[(row.name, row.label) for row in settings.rows],
            metrics=list(settings.metrics),
            lpips_net=settings.lpips_net,
            protocol=protocol.name,
            rules=protocol.describe(self.dataset.scale, settings.lpips_net),
            seed=settings.seed,
            weights=settings.weights,
            device=self.device.type,
            precision=precision_word(self.identities.precision),
            made_lr=self.dataset.made_lr,
            records=found,
            missing=_undefined(found, columns) | unavailable,
            failures=failures,
        )


def _undefined(records: list[Record], columns: Collection[str]) -> dict[str, str]:
    """Columns that are not defined for some image, and for which."""
    found: dict[str, str] = {}
    for record in records:
        for key in (k for k, v in record.values.items() if k in columns and math.isnan(v)):
            found.setdefault(
                key, f"{key} is not defined for an image as small as {record.image}; it is left out there."
            )
    return found
