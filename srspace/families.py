"""Families of weights: the flows that ``auto`` chooses between. The one place that names them; no torch.

A family is a flow and the networks that the weight catalogue has for it (their ``base``). Each was trained on one kind
of input, and is clearly better there.
"""

from __future__ import annotations

from dataclasses import dataclass

from srspace.config import DEFAULT_WEIGHTS
from srspace.hub import find_fusion, fusion_networks, load_catalog
from srspace.modes import Mode


@dataclass(frozen=True)
class Family:
    """A family of weights.

    Attributes:
        weights: the flow's name in the catalogue.
        inputs: what it was trained on.
    """

    weights: str
    inputs: str


CLEAN = Family(DEFAULT_WEIGHTS, "clean pictures, as they come of a bicubic or Lanczos reduction")
REAL = Family("srflow-da-x4-real-lite", "pictures that are compressed, noisy, soft, jagged or oversharpened")
FAMILIES = (CLEAN, REAL)


def available() -> list[Family]:
    """The families whose flow the catalogue has.

    Raises:
        WeightsError: the catalogue cannot be read.
    """
    catalog = load_catalog()
    return [family for family in FAMILIES if family.weights in catalog]


def serving(mode: Mode) -> dict[str, str | None]:
    """Which families a mode can be used with.

    Args:
        mode: the mode.

    Returns:
        The catalogue's fusion network for the mode, or None where the mode needs none, by the family's weights.

    Raises:
        NoFusionError: no family has the network that the mode needs.
        WeightsError: the catalogue cannot be read.
    """
    flows = [family.weights for family in available()]
    if mode.network is None:
        return dict.fromkeys(flows)
    networks = {flow: fusion_networks(flow).get(mode.network) for flow in flows}
    found: dict[str, str | None] = {flow: entry.name for flow, entry in networks.items() if entry is not None}
    if flows and not found:
        find_fusion(flows[0], mode.network)  # raises
    return found
