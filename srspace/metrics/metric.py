"""What a metric is: one column of a benchmark, described without loading what computes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from torch import Tensor

    from srspace.metrics.context import Context
    from srspace.metrics.view import Reference, View

Kind = Literal["distortion", "perception", "space", "cost"]
Score = Callable[["View", "Reference"], "Tensor"]
"""Scores one output against its reference, ``(1,)``; a ``ValueError`` says that the image is too small for it."""


class Gatherer(Protocol):
    """Takes a row's candidates one at a time and makes one figure of them."""

    def add(self, output: View, reference: Reference) -> None:
        """Take one candidate."""

    def value(self) -> float:
        """The figure of all candidates taken."""


@dataclass(frozen=True)
class Metric:
    """One column of a benchmark.

    Attributes:
        name: as on the command line.
        title: as in a table.
        maker: ``"package.module:function"``, called once per run with a :class:`~srspace.metrics.context.Context`;
            returns a :data:`Score`, or, for a metric of several candidates, what makes a fresh :class:`Gatherer`.
            Empty for costs, which the benchmark itself measures.
        higher_is_better: None for costs, which are shown and not ranked.
        decimals: digits shown after the point.
        kind: ``"distortion"``, ``"perception"``, ``"space"`` (of the SR space) or ``"cost"``.
        unit: unit of its figures, or nothing.
        networks: the networks that it needs: by name, ``"package.module:function"``, called with a device. Metrics
            that name the same network share it.
        candidates: how many candidates it is taken over at least; 0 for a metric of one output.
        channel: whether it is taken on the protocol's colour channel, inside the protocol's border.
        backbone: whether it is taken with the LPIPS backbone that the user chooses, which is then part of its key.
        always: whether it is recorded even where no column shows it.
        largest: whether its figure over several images is the largest one and not their mean.
    """

    name: str
    title: str
    maker: str
    higher_is_better: bool | None
    decimals: int
    kind: Kind
    unit: str = ""
    networks: Mapping[str, str] = field(default_factory=dict)
    candidates: int = 0
    channel: bool = False
    backbone: bool = False
    always: bool = False
    largest: bool = False

    def key(self, lpips_net: str) -> str:
        """Under which name records file it when the LPIPS backbone is ``lpips_net``.

        >>> from srspace.metrics import find
        >>> find("lpips").key("alex"), find("psnr").key("alex")
        ('lpips-alex', 'psnr')
        """
        return f"{self.name}-{lpips_net}" if self.backbone else self.name

    def heading(self, lpips_net: str) -> str:
        """Its title, with the backbone where it has one."""
        return f"{self.title} {lpips_net}" if self.backbone else self.title

    def make(self, context: Context) -> Any:
        """What computes it; see :attr:`maker`.

        Raises:
            MetricUnavailableError: a library or weights that it needs are missing.
        """
        return load(self.maker)(context)


def load(path: str) -> Callable[..., Any]:
    """The function that ``"package.module:function"`` names."""
    module, _, name = path.partition(":")
    return getattr(import_module(module), name)  # type: ignore[no-any-return]
