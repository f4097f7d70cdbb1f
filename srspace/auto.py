"""Upscaling every picture with the family of weights that suits it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from srspace import modes
from srspace.assessment import Choice, choose, load_assessor
from srspace.config import SamplingConfig
from srspace.devices import PRECISION_NAMES, pick_device, pick_precision
from srspace.errors import UsageError
from srspace.families import CLEAN, FAMILIES, available, serving
from srspace.hub import check_at_hand, usual_mode, weights_scale
from srspace.images import Picture
from srspace.modes import Mode, usual
from srspace.upscaler import Upscaler, UpscaleResult


class AutoUpscaler:
    """Upscales every picture with the family of weights that suits it; a family is loaded when it is first needed.

    Several threads may use it at the same time, each for a picture of its own.

    >>> upscaler = AutoUpscaler(modes=["rrdb"])
    >>> result = upscaler.upscale(picture, mode="rrdb")  # doctest: +SKIP
    >>> result.weights, result.assessment.reasons  # doctest: +SKIP
    ('srflow-da-x4-real-lite', ('8x8 blocks of JPEG compression',))

    Args:
        modes: modes that will be used (None: what :func:`srspace.hub.usual_mode` gives for the clean family).
        device: see :func:`srspace.devices.pick_device`.
        precision: see :func:`srspace.devices.pick_precision`.

    Raises:
        UsageError: a mode, device or precision is unknown.
        ResourceError: the device is not there.
        WeightsError: no family has the network that a mode needs, or weights are missing.
        CheckpointError: the weights that choose are damaged.
    """

    def __init__(
        self, *, modes: Iterable[str | Mode] | None = None, device: str = "auto", precision: str = "auto"
    ) -> None:
        self._modes = [usual_mode(CLEAN.weights)] if modes is None else [_find(mode) for mode in modes]
        self._serving = {mode.name: serving(mode) for mode in self._modes}
        self.device = pick_device(device)
        self.precision = PRECISION_NAMES[pick_precision(precision, self.device)]
        if len(available()) > 1:
            load_assessor()
        for weights, fusion in {pair for families in self._serving.values() for pair in families.items()}:
            check_at_hand(weights)
            if fusion is not None:
                check_at_hand(fusion)
        self._loaded: dict[str, Upscaler] = {}
        self._lock = threading.Lock()

    @property
    def scale(self) -> int:
        """The upscaling factor of every family."""
        return weights_scale(FAMILIES[0].weights)

    def check(self, mode: str | Mode, **parameters: float) -> None:
        """Raise what :meth:`upscale` would raise about its settings, before any work.

        Raises:
            UsageError: the mode is unknown, does not go with the parameters, or was not named when this was made.
        """
        mode = _find(mode)
        mode.settings(parameters)
        self._families(mode)

    def choose(self, picture: Picture, *, mode: str | Mode | None = None) -> Choice:
        """The weights that suit a picture, of those that can serve a mode; this takes a fraction of a second.

        Raises:
            UsageError: the mode is unknown, or was not named when this was made.
            WeightsError: the assessor's weights are missing or damaged.
        """
        return choose(picture, self._families(self._mode(mode)))

    def family(self, weights: str) -> Upscaler:
        """The upscaler of a family, loaded at the first call.

        Raises:
            WeightsError: the weights are missing, cannot be fetched or fail their checksum.
            CheckpointError: they are damaged or of the wrong kind.
        """
        with self._lock:
            if weights not in self._loaded:
                usable = [mode for mode in self._modes if weights in self._serving[mode.name]]
                self._loaded[weights] = Upscaler.load(
                    weights, modes=usable, device=str(self.device), precision=self.precision
                )
            return self._loaded[weights]

    def upscale(
        self,
        picture: Picture,
        *,
        mode: str | Mode | None = None,
        sampling: SamplingConfig | None = None,
        consistency: bool | None = None,
        progress: Callable[[float], None] | None = None,
        on_candidate: Callable[[int, Picture], None] | None = None,
        beside: Sequence[AutoUpscaler] = (),
        **parameters: float,
    ) -> UpscaleResult:
        """As :meth:`srspace.upscaler.Upscaler.upscale`; the result tells the weights, and why they were chosen.

        Raises:
            UsageError: the settings do not go together.
            WeightsError: weights are missing, cannot be fetched or fail their checksum.
            CheckpointError: weights are damaged or of the wrong kind.
            ResourceError: the memory, or the limit on it, is too small.
        """
        mode = self._mode(mode)
        choice = self.choose(picture, mode=mode)
        result = self.family(choice.weights).upscale(
            picture, mode=mode, sampling=sampling, consistency=consistency, progress=progress,
            on_candidate=on_candidate, redraws=None,
            beside=[other.family(choice.weights) for other in beside], **parameters,
        )  # fmt: skip
        return replace(result, weights=choice.weights, assessment=choice.assessment)

    def _mode(self, named: str | Mode | None) -> Mode:
        return usual([mode.network for mode in self._modes if mode.network]) if named is None else _find(named)

    def _families(self, mode: Mode) -> dict[str, str | None]:
        if mode.name not in self._serving:
            raise UsageError(f"the mode {mode.name} was not named when this upscaler was made.")
        return self._serving[mode.name]


# The keyword ``modes`` of AutoUpscaler hides the module there.
_find = modes.find
