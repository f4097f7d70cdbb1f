"""Where pictures are upscaled: weights that are loaded once, for every mode that they serve."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from srspace import modes
from srspace.auto import AutoUpscaler
from srspace.batch import BatchSettings, Job, Made
from srspace.batch.deciding import Chosen, Decision, Named
from srspace.batch.engine import Computer, Reader, file_of, outcome_of
from srspace.batch.gates import check_agreement
from srspace.batch.sizing import SizedUpscaler
from srspace.config import AUTO_WEIGHTS
from srspace.errors import UsageError, WeightsError
from srspace.families import CLEAN, available, serving
from srspace.hub import fusion_networks, is_model_file
from srspace.images import Encoded, writable
from srspace.images.animation import is_animated
from srspace.images.kinds import HEAD, recognized
from srspace.modes import EXTERNAL, Mode, usual
from srspace.serve.settings import ServeSettings
from srspace.upscaler import Upscaler


@dataclass(frozen=True)
class Answer:
    """A result.

    Attributes:
        file: the picture.
        format: its format.
        record: what :meth:`srspace.batch.Done.record` tells, without what names files.
    """

    file: Encoded
    format: str
    record: dict[str, Any]


class Studio:
    """Upscales pictures in memory. Several threads may use it; one at a time computes.

    Args:
        settings: of the service.

    Attributes:
        modes: those that the weights serve, by name.
        default: the one that is used where a request names none.
        device: where pictures are computed.
        precision: of the computations.
        scale: of the weights.

    Raises:
        SRSpaceError: the weights or the device are not there.
    """

    def __init__(self, settings: ServeSettings) -> None:
        weights = settings.weights
        if weights == AUTO_WEIGHTS and len(available()) == 1:
            weights = available()[0].weights
        self._weights, self._auto = weights, weights == AUTO_WEIGHTS
        self._max_pixels = settings.max_pixels
        self._computing = threading.Lock()
        served = _served(weights)
        self.modes = {mode.name: mode for mode in served}
        self._upscaler: Upscaler | AutoUpscaler
        if self._auto:
            self._upscaler = AutoUpscaler(modes=served, device=settings.device, precision=settings.precision)
            self._upscaler.family(CLEAN.weights)  # the first picture need not wait for it
        else:
            self._upscaler = Upscaler.load(weights, modes=served, device=settings.device, precision=settings.precision)
        self.default = EXTERNAL if is_model_file(weights) else usual([m.network for m in served if m.network])
        self.device, self.precision = str(self._upscaler.device), self._upscaler.precision
        self.scale = self._upscaler.scale

    def settled(self, asked: BatchSettings) -> BatchSettings:
        """What a request comes to with these weights.

        Raises:
            UsageError: they do not serve the mode, or the settings do not go together.
            WeightsError: a network is missing.
        """
        mode = self.default if asked.mode is None else modes.find(asked.mode)
        if mode.name not in self.modes:
            raise UsageError(f"the mode must be one of {', '.join(self.modes)}, not {mode.name!r}.")
        asked = replace(asked, mode=mode, weights=self._weights).for_scale(self.scale)
        if isinstance(self._upscaler, Upscaler):
            self._upscaler.check(mode, asked.sampling, **asked.parameters)
        return asked

    def upscale(
        self, data: bytes, name: str, settings: BatchSettings, progress: Callable[[float], None] | None = None
    ) -> Answer:
        """Upscale a picture, which may be an animation.

        Args:
            data: the file.
            name: what to call it in messages.
            settings: of :meth:`settled`.
            progress: called with the share done; what it raises ends the work.

        Raises:
            SRSpaceError: as of a batch.
        """
        job = Job(None, None, settings.format or _format(data, first_frame=settings.first_frame))
        decoded = Reader(settings, self._decision(settings), self.scale).decode(
            job, data, name, max_pixels=self._max_pixels
        )
        with self._computing:
            if progress is not None:
                progress(0.0)
            computed = Computer(settings, lambda made: self._sized(made, settings))(decoded, progress)
        check_agreement(name, computed.result, settings.min_lr_psnr)
        file = file_of(computed)
        record = outcome_of(computed, file.warnings).record()
        told = {key: value for key, value in record.items() if key not in ("input", "output", "error")}
        return Answer(file, job.format, told | {key: told[key] and named(told[key]) for key in ("weights", "fusion")})

    def _sized(self, made: Made, settings: BatchSettings) -> Upscaler:
        upscaler = self._upscaler
        chosen = upscaler.family(str(made.weights)) if isinstance(upscaler, AutoUpscaler) else upscaler
        return SizedUpscaler.of(chosen, settings.size)

    def _decision(self, settings: BatchSettings) -> Decision:
        mode = settings.known_mode
        fusion = None if self._auto or mode.network is None else fusion_networks(self._weights)[mode.network].name
        made = Made.by(settings, fusion=fusion, scale=self.scale, device=self.device, precision=self.precision)
        if not self._auto:
            return Named.of(made, self._weights, fusion)
        return Chosen.of(made, serving(mode))


def named(weights: str) -> str:
    """Weights as clients may know them: of a file or folder, the name alone."""
    return Path(weights).name if Path(weights).exists() else weights


def _served(weights: str) -> list[Mode]:
    """The modes that weights serve."""
    if is_model_file(weights):
        return [EXTERNAL]
    every = modes.every().values()
    if weights != AUTO_WEIGHTS:
        networks = fusion_networks(weights)
        return [mode for mode in every if mode.network is None or mode.network in networks]
    return [mode for mode in every if _is_served(mode)]


def _is_served(mode: Mode) -> bool:
    try:
        return bool(serving(mode))
    except WeightsError:
        return False


def _format(data: bytes, *, first_frame: bool) -> str:
    """The input's format, where results are written in it unasked; else PNG."""
    found = recognized(data[:HEAD])
    known = writable()
    if not isinstance(found, str) or found not in known:
        return "png"
    return found if known[found].stills or (not first_frame and is_animated(data)) else "png"
