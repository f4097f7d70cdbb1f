"""Running a benchmark: every row on every image, each candidate drawn once, each score kept."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from itertools import groupby
from typing import Any

import torch
from torch import Tensor

from srspace import __version__
from srspace.benchmark.candidates import SharedCandidates
from srspace.benchmark.external import ExternalModel
from srspace.benchmark.memory import PeakMemory
from srspace.benchmark.protocol import PROTOCOLS, Protocol
from srspace.benchmark.records import Record, RecordFile, fingerprint
from srspace.benchmark.results import Results
from srspace.benchmark.rows import Row
from srspace.benchmark.scoring import ImageScorer, Scorer
from srspace.checkpoints import CONFIG_FILE, MODEL_FILE
from srspace.collapse.fusion import fuse
from srspace.collapse.median import median_of
from srspace.config import DEFAULT_WEIGHTS, SamplingConfig
from srspace.data.datasets import Dataset, Pair
from srspace.devices import pick_device, pick_precision
from srspace.errors import DataError, SRSpaceError, UsageError, WeightsError
from srspace.hub import find_fusion, resolve_weights, sha256
from srspace.metrics import Diversity
from srspace.resize import imresize
from srspace.sampling import draw_latents
from srspace.tf32 import exact_float32
from srspace.upscaler import Upscaler

Progress = Callable[[str, float], None]
_Output = Callable[[], Tensor]


@dataclass(frozen=True)
class Settings:
    """What is measured.

    Attributes:
        rows: methods.
        metrics: columns, by name.
        protocol: rules for the columns.
        lpips_net: backbone of the LPIPS column; the paper's is vgg.
        weights: the flow.
        seed: of the candidates.
        device: see :func:`srspace.devices.pick_device`.
        precision: see :func:`srspace.devices.pick_precision`.
        tile: see :class:`srspace.config.SamplingConfig`.
    """

    rows: tuple[Row, ...]
    metrics: tuple[str, ...]
    protocol: Protocol = PROTOCOLS["paper"]
    lpips_net: str = "vgg"
    weights: str = DEFAULT_WEIGHTS
    seed: int = SamplingConfig.seed
    device: str = "auto"
    precision: str = "auto"
    tile: int | None = None


@dataclass(frozen=True)
class _Task:
    """A row on an image that has no record yet, or one without all the columns."""

    row: Row
    key: str
    settings: dict[str, Any]
    missing: set[str]


class Benchmark:
    """Measures rows on a data set; what the record file holds already is not measured again.

    Args:
        dataset: the images.
        settings: what to measure.
        records: where scores are kept; a line is added as soon as it is known.
        progress: called with what is being done and the share done.

    Raises:
        UsageError: settings are out of range or do not go together.
        WeightsError: weights are missing.
    """

    def __init__(
        self, dataset: Dataset, settings: Settings, records: RecordFile, *, progress: Progress | None = None
    ) -> None:
        self.dataset, self.settings, self.records = dataset, settings, records
        self.progress = progress or (lambda text, share: None)
        self.device = pick_device(settings.device)
        self.precision = str(pick_precision(settings.precision, self.device)).removeprefix("torch.")
        SamplingConfig(seed=settings.seed, tile=settings.tile)
        self.scorer = Scorer(
            settings.metrics,
            lpips_net=settings.lpips_net,
            protocol=settings.protocol,
            scale=dataset.scale,
            # MPS has no float64, which PSNR and SSIM are taken in.
            device=torch.device("cpu") if self.device.type == "mps" else self.device,
        )
        self._external: dict[Row, ExternalModel] = {}
        self._hashed: dict[Pair, tuple[str, str | None]] = {}
        self._units, self._done = 0, 0.0

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
        tasks = [(pair, self._tasks(pair, known)) for pair in pairs]
        if any(todo for _, todo in tasks):
            # Only now are the metrics loaded: what cannot be computed here is no reason to measure again.
            self.progress("loading metrics", 0.0)
            available = self.scorer.available()
            tasks = [(pair, _possible(todo, available, known)) for pair, todo in tasks]
        self._prepare({task.row for _, todo in tasks for task in todo})
        self._units = sum(_units(todo) for _, todo in tasks)
        failures: dict[str, str] = {}
        for pair, todo in tasks:
            if not todo:
                continue
            try:
                for record in self._measure(pair, todo):
                    known[record.key] = known[record.key].merged(record) if record.key in known else record
                    self.records.append(record)
            except torch.OutOfMemoryError:
                failures[pair.name] = f"{pair.name} does not fit into the device's memory."
            except SRSpaceError as error:
                failures[pair.name] = str(error)
        found = [
            replace(known[key], dataset=self.dataset.name, image=pair.name, row=row.name)
            for pair in pairs
            for row in self.settings.rows
            if (key := self._identity(pair, row)[0]) in known
        ]
        return Results(
            dataset=self.dataset.name,
            scale=self.dataset.scale,
            images=[pair.name for pair in pairs],
            rows=[(row.name, row.label) for row in self.settings.rows],
            metrics=list(self.settings.metrics),
            lpips_net=self.settings.lpips_net,
            protocol=self.settings.protocol.name,
            rules=self.settings.protocol.describe(self.dataset.scale, self.settings.lpips_net),
            seed=self.settings.seed,
            weights=self.settings.weights,
            device=self.device.type,
            precision=self.precision,
            made_lr=self.dataset.made_lr,
            records=found,
            missing=_undefined(found) | self.scorer.missing,
            failures=failures,
        )

    @cached_property
    def _upscaler(self) -> Upscaler:
        modes = {row.kind for row in self.settings.rows if row.kind.startswith("fusion")} or {"mean"}
        settings = self.settings
        upscaler = Upscaler.load(
            settings.weights, modes=sorted(modes), device=settings.device, precision=settings.precision
        )
        if upscaler.scale != self.dataset.scale:
            raise UsageError(f"{settings.weights} upscales {upscaler.scale}x, the data set is {self.dataset.scale}x.")
        return upscaler

    @cached_property
    def _checksums(self) -> dict[str, str]:
        """Fingerprints of the weights by what they serve, without loading them."""
        kinds = {row.kind for row in self.settings.rows}
        folders = {}
        if kinds - {"bicubic", "external"}:
            folders["flow"] = resolve_weights(self.settings.weights)
        for kind in sorted(k for k in kinds if k.startswith("fusion")):
            folders[kind] = resolve_weights(find_fusion(self.settings.weights, kind).name)
        sums = {}
        for name, folder in folders.items():
            files = [folder / MODEL_FILE, folder / CONFIG_FILE]
            if missing := [path for path in files if not path.is_file()]:
                raise WeightsError(f"{folder} is not a model folder: {missing[0].name} is missing.")
            sums[name] = ":".join(sha256(path)[:32] for path in files)
        for row in self.settings.rows:
            if row.path is not None:
                if not row.path.is_file():
                    raise UsageError(f"{row.path} does not exist.")
                sums[row.name] = sha256(row.path)
        return sums

    def _identity(self, pair: Pair, row: Row) -> tuple[str, dict[str, Any]]:
        """What a row's scores on an image depend on, and the fingerprint of that."""
        protocol, scale = self.settings.protocol, self.dataset.scale
        hr, lr = self._image_checksums(pair)
        identity: dict[str, Any] = {
            "schema": 1,
            "srspace": __version__,
            "hr": hr,
            "lr": lr or f"MATLAB bicubic, 1/{scale}",
            "scale": scale,
            "kind": row.kind,
            "protocol": {"y_only": protocol.y_only, "border": protocol.border(scale), "rounded": "uint8"},
            "device": self.device.type,
        }
        if row.kind == "external":
            identity["weights"] = {"file": self._checksums[row.name]}
        elif row.kind != "bicubic":
            wanted = ["flow", row.kind] if row.kind.startswith("fusion") else ["flow"]
            identity["weights"] = {name: self._checksums[name] for name in wanted}
            identity["precision"] = self.precision
        if row.sampled:
            identity |= {"n": row.samples, "tau": row.temperature, "seed": self.settings.seed}
            identity["stream"] = self._stream
        return fingerprint(identity), identity

    @cached_property
    def _stream(self) -> str:
        """A fingerprint of what the seed stands for, so that scores of another random stream are not mixed in."""
        (latents,) = draw_latents([(2, 8, 8)], seed=self.settings.seed, index=1, temperature=1.0)
        return hashlib.blake2b(latents.numpy().tobytes(), digest_size=6).hexdigest()

    def _image_checksums(self, pair: Pair) -> tuple[str, str | None]:
        if pair not in self._hashed:
            try:
                self._hashed[pair] = sha256(pair.hr), sha256(pair.lr) if pair.lr is not None else None
            except OSError as error:
                raise DataError(f"{error.filename} cannot be read: {error.strerror}.") from error
        return self._hashed[pair]

    def _tasks(self, pair: Pair, known: dict[str, Record]) -> list[_Task]:
        tasks = []
        for row in self.settings.rows:
            key, identity = self._identity(pair, row)
            wanted = set(self.scorer.keys) - ({"diversity"} if row.kind != "sample" or row.samples < 2 else set())
            missing = wanted - set(known[key].values) if key in known else wanted
            if key not in known or missing:
                tasks.append(_Task(row, key, identity, missing))
        return tasks

    def _prepare(self, rows: set[Row]) -> None:
        """Load every model that will be used, so that a wrong file stops the run before any work."""
        for row in sorted(rows, key=lambda r: r.name):
            if row.kind == "external" and row.path is not None:
                self._external[row] = ExternalModel(row.path, scale=self.dataset.scale, device=self.device)
            elif row.kind.startswith("fusion"):
                self._upscaler.check(row.kind, SamplingConfig(samples=row.samples))
            elif row.kind != "bicubic":
                _ = self._upscaler

    def _measure(self, pair: Pair, tasks: list[_Task]) -> Iterator[Record]:
        hr, lr8 = pair.load(self.dataset.scale)
        lr = lr8.float() / 255
        scorer = self.scorer.image(hr, lr8)
        for task in tasks:
            if not task.row.sampled:
                self._say(pair, task.row.label)
                yield self._scored(pair, task, scorer, self._plain(task.row, lr))
                self._advance(pair, task.row.label, 1)
        sampled = sorted((t for t in tasks if t.row.temperature is not None), key=_temperature)
        for temperature, group in groupby(sampled, key=_temperature):
            yield from self._measure_candidates(pair, lr, temperature, list(group), scorer)

    def _plain(self, row: Row, lr: Tensor) -> _Output:
        tile, scale = self.settings.tile, self.dataset.scale
        if row.kind == "bicubic":
            return lambda: imresize(lr, scale).clamp(0, 1)
        if row.kind == "rrdb":
            return lambda: self._upscaler.collapse(lr, mode="rrdb", sampling=SamplingConfig(tile=tile))[0]
        return lambda: self._external[row].upscale(lr, tile)

    def _measure_candidates(
        self, pair: Pair, lr: Tensor, temperature: float, tasks: list[_Task], scorer: ImageScorer
    ) -> Iterator[Record]:
        single = [t for t in tasks if t.row.kind == "sample"]
        merging = [t for t in tasks if t.row.kind != "sample"]
        count = max(t.row.samples for t in tasks)
        keep = max((t.row.samples for t in merging), default=0)
        sampling = SamplingConfig(
            temperature=temperature, samples=count, seed=self.settings.seed, tile=self.settings.tile
        )
        text = f"candidates at tau {temperature:g}"
        self._say(pair, text)
        before = self._done

        def drawn(share: float) -> None:
            self._done = before + share * count
            self._say(pair, text)

        with SharedCandidates(self._upscaler.prepared, lr, sampling, keep=keep, progress=drawn) as candidates:
            scored = max((t.row.samples for t in single), default=0)
            keys = set().union(*(t.missing for t in single)) if single else set()
            scores: list[dict[str, float]] = []
            diversities = {t.key: Diversity() for t in single if "diversity" in t.missing}
            for index, image in candidates.draw():
                if index < scored:
                    active = [diversities[t.key] for t in single if t.key in diversities and index < t.row.samples]
                    scores.append(scorer.score(image, keys, active))
            self._done = before + count
            redraws = [asdict(r) for r in candidates.redraws]
            for task in single:
                yield self._averaged(pair, task, scores, diversities.get(task.key), candidates, redraws)
            for task in merging:
                self._say(pair, task.row.label)
                output = self._merge(task.row, candidates)
                yield self._scored(pair, task, scorer, output, candidates, redraws)

    def _merge(self, row: Row, candidates: SharedCandidates) -> _Output:
        stack = candidates.first(row.samples)
        if row.kind == "mean":
            return lambda: stack.mean(0)
        if row.kind == "median":
            return lambda: median_of(stack)
        return lambda: fuse(self._upscaler.fusion[row.kind], stack)

    def _scored(
        self,
        pair: Pair,
        task: _Task,
        scorer: ImageScorer,
        output: _Output,
        candidates: SharedCandidates | None = None,
        redraws: list[dict[str, Any]] | None = None,
    ) -> Record:
        memory = PeakMemory(self.device)
        start = time.perf_counter()
        with memory:
            sr = output()
        seconds, peak = time.perf_counter() - start, memory.peak
        if candidates is not None:
            seconds += candidates.seconds_each * task.row.samples
            peak = max(peak, candidates.memory.peak)
        values = scorer.score(sr, task.missing)
        used = [r for r in redraws or [] if r["index"] < task.row.samples]
        return self._record(pair, task, values, seconds, peak, redraws=used)

    def _averaged(
        self,
        pair: Pair,
        task: _Task,
        scores: list[dict[str, float]],
        diversity: Diversity | None,
        candidates: SharedCandidates,
        redraws: list[dict[str, Any]],
    ) -> Record:
        """A ``sample`` row: the mean over its candidates' scores, as in the paper."""
        own = scores[: task.row.samples]
        each = {key: [score[key] for score in own] for key in own[0] if key in task.missing}
        values = {key: sum(scores) / len(scores) for key, scores in each.items()}
        if diversity is not None and diversity.count:
            values["diversity"] = diversity.value()
        used = [r for r in redraws if r["index"] < task.row.samples]
        seconds, peak = candidates.seconds_each, candidates.memory.peak
        return self._record(pair, task, values, seconds, peak, candidates=each, redraws=used)

    def _record(
        self, pair: Pair, task: _Task, values: dict[str, float], seconds: float, peak: int, **rest: Any
    ) -> Record:
        costs = {"seconds": round(seconds, 4), "memory": round(peak / 2**20, 1)}
        settings = task.settings | {"torch": torch.__version__, "weights_name": self.settings.weights}
        return Record(task.key, self.dataset.name, pair.name, task.row.name, values | costs, settings=settings, **rest)

    def _say(self, pair: Pair, text: str) -> None:
        self._advance(pair, text, 0)

    def _advance(self, pair: Pair, text: str, units: float) -> None:
        self._done += units
        self.progress(f"{pair.name}: {text}", self._done / max(1, self._units))


def _possible(tasks: list[_Task], available: set[str], known: dict[str, Record]) -> list[_Task]:
    """Tasks cut down to the columns that can be computed here; those that would add nothing are dropped."""
    cut = [replace(task, missing=task.missing & available) for task in tasks]
    return [task for task in cut if task.missing or task.key not in known]


def _undefined(records: list[Record]) -> dict[str, str]:
    """Columns that are not defined for some image, and for which."""
    found: dict[str, str] = {}
    for record in records:
        for key in (k for k, v in record.values.items() if math.isnan(v)):
            found.setdefault(
                key, f"{key} is not defined for an image as small as {record.image}; it is left out there."
            )
    return found


def _temperature(task: _Task) -> float:
    return task.row.temperature or 0.0


def _units(tasks: list[_Task]) -> int:
    """Work in candidates; a row without any counts as one."""
    sampled = sorted((t for t in tasks if t.row.sampled), key=_temperature)
    drawn = sum(max(t.row.samples for t in group) for _, group in groupby(sampled, key=_temperature))
    return drawn + sum(1 for t in tasks if not t.row.sampled)
