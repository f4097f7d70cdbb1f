"""From the dictionary that ``config.json`` holds to a network."""

from __future__ import annotations

from typing import Any

from torch import nn

from srspace.config import AssessorConfig, DialConfig, FlowConfig, FusionConfig, RRDBConfig
from srspace.errors import CheckpointError
from srspace.models.assessor import Assessor
from srspace.models.dial import DialFusion
from srspace.models.fusion import FusionNet, SetFusionNet
from srspace.models.rrdb import RRDBNet
from srspace.models.srflow import SRFlow


def build(config: dict[str, Any]) -> nn.Module:
    """Build the network that ``config`` describes, with fresh weights.

    Args:
        config: ``{"kind": "flow", "encoder": {...}, "flow": {...}}``, ``{"kind": "encoder", "encoder": {...}}``,
            ``{"kind": "fusion", "fusion": {...}}``, ``{"kind": "dial-fusion", "fusion": {...}}`` or
            ``{"kind": "assessor", "assessor": {...}}``; other keys are left alone.

    Raises:
        CheckpointError: the kind is unknown or the sizes do not make a network.
    """
    try:
        kind = config.get("kind")
        if kind == "flow":
            return SRFlow(RRDBConfig.from_dict(config["encoder"]), FlowConfig.from_dict(config["flow"]))
        if kind == "encoder":
            return RRDBNet(RRDBConfig.from_dict(config["encoder"]))
        if kind == "fusion":
            sizes = FusionConfig.from_dict(config["fusion"])
            return SetFusionNet(sizes) if sizes.samples is None else FusionNet(sizes)
        if kind == "dial-fusion":
            return DialFusion(DialConfig.from_dict(config["fusion"]))
        if kind == "assessor":
            return Assessor(AssessorConfig.from_dict(config["assessor"]))
    except KeyError as error:
        raise CheckpointError(f"the configuration has no section {error}.") from error
    except ValueError as error:
        raise CheckpointError(f"the configuration does not make a network: {error}.") from error
    raise CheckpointError(f"the configuration is of the unknown kind {kind!r}.")
