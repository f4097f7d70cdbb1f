"""What a metric is made for: the rules of a run, and the networks and scores that metrics share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from srspace.errors import MetricUnavailableError
from srspace.metrics.metric import Score, load
from srspace.metrics.registry import find, networks

if TYPE_CHECKING:
    from srspace.metrics.view import Reference, View


class Context:
    """The rules that scores are taken by; networks are loaded on first use and shared.

    Args:
        device: where to compute.
        lpips_net: backbone of the LPIPS column.
        y_only: metrics that follow the protocol's channel are taken on BT.601 luma instead of RGB.
        border: pixels that these metrics cut from every side.
    """

    def __init__(self, device: torch.device, *, lpips_net: str = "vgg", y_only: bool = False, border: int = 0) -> None:
        self.device, self.lpips_net, self.y_only, self.border = device, lpips_net, y_only, border
        self._networks: dict[str, Any] = {}
        self._scores: dict[str, Score] = {}

    def network(self, name: str) -> Any:
        """The network of that name; see :attr:`srspace.metrics.Metric.networks`.

        Raises:
            MetricUnavailableError: its library or its weights are missing.
        """
        if name not in self._networks:
            try:
                self._networks[name] = load(networks()[name])(self.device)
            except MetricUnavailableError as error:
                self._networks[name] = error  # a second try would wait for the network again
        found = self._networks[name]
        if isinstance(found, MetricUnavailableError):
            raise found
        return found

    def score(self, name: str) -> Score:
        """What scores an output by the metric of one output of that name, computed once per output.

        Raises:
            MetricUnavailableError: the metric cannot be computed here.
        """
        if name not in self._scores:
            compute: Score = find(name).make(self)

            def score(output: View, reference: Reference) -> Tensor:
                return output.once(("score", name), lambda: compute(output, reference))

            self._scores[name] = score
        return self._scores[name]
