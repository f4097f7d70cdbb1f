"""What makes a row's outputs: our networks and those of others, loaded once, and the settings that they run by."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property

import torch
from torch import Tensor

from srspace.benchmark.external import ExternalModel
from srspace.benchmark.rows import BICUBIC, EXTERNAL, Row
from srspace.benchmark.settings import Settings
from srspace.config import SamplingConfig
from srspace.errors import UsageError
from srspace.modes import SinkMaker
from srspace.resize import imresize
from srspace.sampling import Sampler
from srspace.upscaler import Upscaler


class Methods:
    """The rows of a benchmark at work.

    Args:
        settings: of the benchmark.
        scale: HR is so many times as large as LR.
        device: where to compute.
    """

    def __init__(self, settings: Settings, scale: int, device: torch.device) -> None:
        self.settings, self.scale, self.device = settings, scale, device
        self._external: dict[Row, ExternalModel] = {}

    @cached_property
    def upscaler(self) -> Upscaler:
        """Our networks, loaded on first use.

        Raises:
            UsageError: they have another scale than the data set.
            WeightsError: they are missing.
        """
        settings = self.settings
        modes = dict.fromkeys(row.mode for row in settings.rows if row.mode is not None)
        upscaler = Upscaler.load(
            settings.weights, modes=list(modes), device=settings.device, precision=settings.precision
        )
        if upscaler.scale != self.scale:
            raise UsageError(f"{settings.weights} upscales {upscaler.scale}x, the data set is {self.scale}x.")
        return upscaler

    def prepare(self, rows: Iterable[Row]) -> None:
        """Load every model that the rows need, so that a wrong file stops the run before any work.

        Raises:
            UsageError: a row does not go with its networks.
            WeightsError: weights are missing.
            CheckpointError: a file is damaged or no model.
        """
        for row in sorted(rows, key=lambda row: row.name):
            if row.mode is not None:
                self.upscaler.check(row.mode, self.sampling(row), **dict(row.parameters))
            elif row.path is not None:
                self._external[row] = ExternalModel(row.path, scale=self.scale, device=self.device)

    def sampling(self, row: Row) -> SamplingConfig:
        """How the row's candidates are drawn."""
        return SamplingConfig(
            temperature=SamplingConfig.temperature if row.temperature is None else row.temperature,
            samples=row.samples or None,
            seed=self.settings.seed,
            latents=row.latents,
            tile=self.settings.tile,
        )

    def maker(self, row: Row) -> SinkMaker:
        """What makes one result of the row's candidates; of a mode that draws a single one, of that one."""
        mode = row.mode
        if mode is None:
            raise ValueError(f"{row.name} draws no candidates")
        return self.upscaler.maker(mode, mode.count(row.samples), dict(row.parameters))

    def plain(self, row: Row, lr: Tensor) -> Tensor:
        """The output of a row without candidates.

        Args:
            row: the row.
            lr: ``(3, h, w)`` float32 in [0, 1].

        Returns:
            ``(3, scale * h, scale * w)`` float32 in [0, 1] on the CPU.
        """
        if row.kind == BICUBIC:
            return imresize(lr, self.scale).clamp(0, 1)
        if row.kind == EXTERNAL:
            return self._external[row].upscale(lr, self.settings.tile)
        return Sampler(self.upscaler.prepared, lr, self.sampling(row)).collapse(self.maker(row))
