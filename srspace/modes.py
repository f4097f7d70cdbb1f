"""Modes: the ways to make one picture of an image's candidates. The one place that knows their names.

A mode is a description. What does its work, a sink, is named by an import path and loaded on first use, so that
listing modes loads no torch. A package of your own adds a mode in one file: describe it, and either call
:func:`register` or declare an entry point in the group ``srspace.modes``.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Literal, Protocol

from srspace.errors import UsageError
from srspace.suggestions import did_you_mean

if TYPE_CHECKING:
    from torch import Tensor, nn

    from srspace.sampling.tiles import Tile

ENTRY_POINTS = "srspace.modes"
_log = logging.getLogger(__name__)


class TileInputs(Protocol):
    """What is known of a tile beside its candidates; each property is computed on first use.

    Attributes:
        scale: the upscaling factor.
        tile: where the tile lies in the picture, and what of it is margin.
        lr: ``(3, h, w)`` float32 in [0, 1], margins included, on the device.
        features: the encoder's features after its trunk and of the blocks that the flow is conditioned on,
            ``(F, h, w)`` float32. A sink that needs them asks when it is made: later they are gone.
        regression: the encoder's own super-resolution, ``(3, scale * h, scale * w)`` float32 in [0, 1].
    """

    scale: int
    tile: Tile
    lr: Tensor

    @property
    def features(self) -> Tensor: ...

    @property
    def regression(self) -> Tensor: ...


class Sink(Protocol):
    """What takes the candidates of one tile and makes one picture of them, without gradients."""

    def add(self, indices: Sequence[int], images: Tensor) -> None:
        """Take candidates.

        Args:
            indices: which ones, in order.
            images: ``(n, 3, H, W)`` float32 in [0, 1] on the device; all zero where a replacement is to follow. They
                must not be written to: other sinks may take them, too.
        """

    def result(self) -> Tensor:
        """``(3, H, W)`` float32 in [0, 1], once every candidate is there."""


@dataclass(frozen=True)
class SinkMaker:
    """What makes a sink for each tile, and how much its sinks take and keep.

    Attributes:
        count: how many candidates: the first so many.
        make: from what is known of a tile to a fresh sink.
        stacked: whether a sink keeps all candidates of its tile, for planning memory.
        pictures: whole pictures that the computer's memory holds in the end, likewise.
    """

    count: int
    make: Callable[[TileInputs], Sink]
    stacked: bool = False
    pictures: int = 1


@dataclass(frozen=True)
class Parameter:
    """A number that a mode can be adjusted by.

    Attributes:
        name: as in Python and, with two dashes, on the command line.
        default: value where the user gives none.
        low: smallest value.
        high: largest value.
        help: one line.
    """

    name: str
    default: float
    low: float
    high: float
    help: str


@dataclass(frozen=True)
class Mode:
    """A way to collapse candidates.

    Attributes:
        name: what users type.
        help: one line: what it does and what for.
        maker: ``"package.module:function"``, called with the number of candidates, the :class:`TileInputs`, the
            network (None without one) and the parameters; returns a :class:`Sink`.
        samples: candidates drawn where the user says nothing; 0 for a mode that draws none.
        fixed: whether that number cannot be changed.
        network: the kind of fusion network that it needs, as the weight catalogue's ``mode`` names it; or None.
        stacked: whether its sink keeps all candidates of a tile, for planning memory.
        latents: how they are drawn where the user says nothing: ``"independent"`` or ``"antithetic"`` (see
            :class:`srspace.config.SamplingConfig`).
        parameters: numbers that it can be adjusted by.
        external: whether it runs models of other projects; the others need a flow of ours.
    """

    name: str
    help: str
    maker: str
    samples: int = 10
    fixed: bool = False
    network: str | None = None
    stacked: bool = False
    latents: Literal["independent", "antithetic"] = "independent"
    parameters: tuple[Parameter, ...] = ()
    external: bool = False

    @property
    def draws(self) -> bool:
        """Whether it draws candidates at all."""
        return self.samples > 0 or not self.fixed

    @property
    def single(self) -> bool:
        """Whether each result is made of one candidate, so that a measure of it is an average over several results."""
        return self.fixed and self.samples == 1

    def count(self, wanted: int | None) -> int:
        """How many candidates it draws when the user wants so many (None: says nothing)."""
        return self.samples if wanted is None or self.fixed else wanted

    def settings(self, given: Mapping[str, float]) -> dict[str, float]:
        """All its parameters: those given, and the defaults of the others.

        Raises:
            UsageError: one is unknown or out of range.
        """
        known = {p.name: p for p in self.parameters}
        for name, value in given.items():
            if name not in known:
                others = [mode.name for mode in every().values() if name in (p.name for p in mode.parameters)]
                hint = f"; it belongs to {', '.join(others)}" if others else ""
                raise UsageError(f"the mode {self.name} has no {name}{hint}.")
            if not known[name].low <= value <= known[name].high:
                low, high = known[name].low, known[name].high
                raise UsageError(f"the {name} must lie between {low:g} and {high:g}, not {value:g}.")
        return {p.name: given.get(p.name, p.default) for p in self.parameters}

    def sink(self, count: int, network: nn.Module | None = None, **parameters: float) -> SinkMaker:
        """What makes a fresh sink for each tile.

        Args:
            count: N, as :meth:`count` gives it.
            network: the fusion network, prepared for inference, on its device.
            **parameters: see :attr:`parameters`.

        Raises:
            UsageError: a parameter is unknown or out of range.
        """
        make, settings = _load(self.maker), self.settings(parameters)
        return SinkMaker(count, lambda inputs: make(count, inputs, network, **settings), self.stacked)


_BUILT_IN = (
    Mode(
        "dial",
        "a network with a dial merges the candidates: any balance of fidelity and natural looks",
        "srspace.collapse.dial:make",
        samples=1,
        network="dial",
        parameters=(Parameter("balance", 0.8, 0.0, 1.0, "0: highest fidelity, 1: most natural looks."),),
    ),
    Mode(
        "mean",
        "average of the candidates: fidelity, for text, digits and measurement",
        "srspace.collapse.mean:make",
    ),
    Mode(
        "median",
        "pixelwise median of the candidates: as the mean, less swayed by outliers",
        "srspace.collapse.median:make",
        stacked=True,
    ),
    Mode(
        "fusion-l1",
        "a network trained with L1 merges the candidates: fidelity",
        "srspace.collapse.fusion:make",
        network="fusion-l1",
        stacked=True,
    ),
    Mode(
        "fusion-lpips",
        "a network trained with LPIPS merges the candidates: natural looks",
        "srspace.collapse.fusion:make",
        network="fusion-lpips",
        stacked=True,
    ),
    Mode(
        "sample",
        "one candidate, sharp and with random artifacts: looking at the SR space itself",
        "srspace.collapse.mean:make",
        samples=1,
        fixed=True,
    ),
    Mode(
        "rrdb",
        "the encoder's own super-resolution, no sampling: speed",
        "srspace.collapse.regression:make",
        samples=0,
        fixed=True,
    ),
)
MODES = tuple(mode.name for mode in _BUILT_IN)
"""Names of the built-in modes."""
EXTERNAL = Mode(
    "model",
    "another project's model in a file, without candidates",
    "srspace.collapse.regression:make",
    samples=0,
    fixed=True,
    external=True,
)
"""The mode of weights that are a file of another project's model. It is not one of :func:`every`: no flow has it."""
DEFAULT = "dial"
"""The mode used where the user names none and the weights have a network for it."""
PLAIN = "mean"
"""A mode that needs no network: used where the user names none and the weights have none for the default one."""
TABLE_1 = "bicubic,rrdb,sample@0.1,sample@0.5,sample@0.9,mean:5,mean:25,median:5,median:25,fusion-l1:10,fusion-lpips:10"
"""The rows of the paper's Table 1, in the words of a benchmark: modes with ``:N`` candidates at ``@TAU``."""

_registered: dict[str, Mode] = {}


def register(mode: Mode) -> Mode:
    """Make a mode known under its name; a later one of the same name takes its place."""
    _registered[mode.name] = mode
    return mode


def every() -> dict[str, Mode]:
    """All modes of flows by name: built-in ones, those of installed packages, and those registered by hand."""
    return {mode.name: mode for mode in (*_BUILT_IN, *_installed(), *_registered.values())}


def find(mode: str | Mode) -> Mode:
    """The mode of that name (or the mode itself).

    Raises:
        UsageError: there is none.
    """
    if isinstance(mode, Mode):
        return mode
    known = every() | {EXTERNAL.name: EXTERNAL}
    if mode not in known:
        raise UsageError(f"the mode must be one of {', '.join(known)}, not {mode!r}{did_you_mean(mode, known)}.")
    return known[mode]


def usual(networks: Container[str]) -> Mode:
    """The mode used where the user names none.

    Args:
        networks: the kinds of fusion networks at hand (see :attr:`Mode.network`).
    """
    default = find(DEFAULT)
    return default if default.network in networks else find(PLAIN)


@cache
def _installed() -> tuple[Mode, ...]:
    return tuple(_modes(entry_points(group=ENTRY_POINTS)))


def _modes(entries: Iterable[EntryPoint]) -> Iterator[Mode]:
    for entry in entries:
        try:
            found = entry.load()
        except Exception as error:  # another package's mistake must not take the built-in modes along
            _log.warning("the modes of %s cannot be loaded (%s: %s).", entry.value, type(error).__name__, error)
            continue
        yield from (found,) if isinstance(found, Mode) else found


def _load(path: str) -> Callable[..., Sink]:
    module, _, name = path.partition(":")
    return getattr(import_module(module), name)  # type: ignore[no-any-return]
