"""What a page shows beside candidates: every mode, and a mode with a parameter at several values of it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from srspace import modes
from srspace.assessment import choose
from srspace.checkpoints import read_config
from srspace.config import AUTO_WEIGHTS
from srspace.errors import SRSpaceError
from srspace.families import serving
from srspace.hub import base_flow, fusion_networks, load_catalog, resolve_weights
from srspace.images import Picture
from srspace.modes import Mode
from srspace.report.explore.settings import ExploreSettings
from srspace.report.explore.space import Shown
from srspace.upscaler import Upscaler


@dataclass(frozen=True)
class Variant:
    """A mode at a value of its parameter.

    Attributes:
        mode: the mode.
        count: candidates that it takes.
        parameter: name of the parameter, of a mode that has one.
        value: the parameter's.
    """

    mode: Mode
    count: int
    parameter: str | None = None
    value: float | None = None

    @property
    def parameters(self) -> dict[str, float]:
        """The parameter as :meth:`srspace.upscaler.Upscaler.maker` takes it."""
        return {} if self.parameter is None or self.value is None else {self.parameter: self.value}

    def shown(self, image: NDArray[np.uint8]) -> Shown:
        """Its picture."""
        return Shown(self.mode.name, image, self.parameter, self.value, help=self.mode.help)


def settled(settings: ExploreSettings, picture: Picture) -> ExploreSettings:
    """Settings with weights named: where they are ``"auto"``, those that suit the picture, or the fusion network.

    Raises:
        NoFlowError: nothing tells which flow the fusion network belongs to.
        WeightsError: the weights that choose are missing.
        CheckpointError: they are damaged.
    """
    if settings.weights != AUTO_WEIGHTS:
        return settings
    if settings.fusion is not None:
        return replace(settings, weights=base_flow(settings.fusion))
    return replace(settings, weights=choose(picture, serving(modes.find(modes.DEFAULT))).weights)


def load_upscaler(settings: ExploreSettings) -> Upscaler:
    """The flow, with every fusion network that the catalogue has for it, and the one that the settings name.

    Raises:
        WeightsError: weights are missing.
        CheckpointError: weights are damaged.
        UsageError: there is no such device or precision.
    """
    named = _named_networks(settings)
    networks = {*fusion_networks(settings.weights), *named}
    usable = [mode for mode in _merging() if mode.network is None or mode.network in networks]
    return Upscaler.load(
        settings.weights, modes=usable, fusion=named, device=settings.device, precision=settings.precision
    )


def find_variants(upscaler: Upscaler, settings: ExploreSettings) -> tuple[list[Variant], list[str]]:
    """What can be shown with these networks, from no candidates to the dial; and what is left out, in sentences.

    Raises:
        UsageError: the fusion network that the settings name cannot merge so many candidates.
        WeightsError: there are no such weights.
        CheckpointError: they are damaged.
    """
    named = _named_networks(settings)
    found: list[Variant] = []
    notes: list[str] = []
    for mode in sorted(_merging(), key=lambda mode: (mode.draws, bool(mode.parameters))):
        if mode.network is not None and mode.network not in upscaler.fusion:
            notes.append(f"The mode {mode.name} is left out: there is no network for it with these weights.")
            continue
        try:
            upscaler.check(mode, settings.sampling)
        except SRSpaceError as error:
            if mode.network in named:
                raise
            notes.append(f"The mode {mode.name} is left out: {error}")
            continue
        count = mode.count(settings.sampling.samples)
        if not mode.parameters:
            found.append(Variant(mode, count))
            continue
        parameter = mode.parameters[0]
        values = np.linspace(parameter.low, parameter.high, settings.balances).tolist()
        found += [Variant(mode, count, parameter.name, round(value, 4)) for value in values]
    return found, notes


def _named_networks(settings: ExploreSettings) -> dict[str, str]:
    """The network that the settings name, by the kinds (see :attr:`srspace.modes.Mode.network`) that it stands for.

    The catalogue tells the kind of its own ones. Any other one stands for the kinds of those that are built like it,
    and among them for the one that was trained with the same loss, where its configuration tells that.
    """
    if settings.fusion is None:
        return {}
    catalog = load_catalog()
    entry = catalog.get(settings.fusion)
    if entry is not None and entry.mode is not None:
        return {entry.mode: settings.fusion}
    kinds = {e.mode: e.kind for e in catalog.values() if e.mode is not None}
    config = read_config(resolve_weights(settings.fusion))
    alike = [kind for kind, built in kinds.items() if built == config.get("kind")]
    same_loss = [kind for kind in alike if kind.endswith(f"-{config.get('loss')}")]
    # Loading what is no fusion network at all tells so.
    return dict.fromkeys(same_loss or alike or kinds, settings.fusion)


def _merging() -> list[Mode]:
    """Modes that make one picture of several candidates or of none; single candidates are shown as such."""
    return [mode for mode in modes.every().values() if not mode.single]
