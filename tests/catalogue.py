"""A weight catalogue of tiny networks under the names of the real ones."""

from __future__ import annotations

from pathlib import Path

import torch

from srspace.checkpoints import save_model
from srspace.config import AssessorConfig, DialConfig, FusionConfig
from srspace.hub import sha256
from srspace.models import Assessor, DialFusion, SetFusionNet, SRFlow
from tests.networks import calm_flow

CLEAN, REAL = "srflow-da-x4-lite", "srflow-da-x4-real-lite"
_ENTRY = """[{name}]
kind = "{kind}"
scale = 4
architecture = "tiny"
description = "Of a test."
licence = "Apache-2.0"
training_data = "none"
{more}files = [{files}]
"""


def write_catalogue(root: Path, *, real: bool = True) -> Path:
    """Both families with a dial, fusion-l1 for the clean one alone, and an assessor.

    The assessor calls any picture damaged that has steps of some levels from pixel to pixel.

    Args:
        root: the folder to write.
        real: whether the family for damaged pictures is there.
    """
    features = 8 * 3
    dial = DialConfig(features=features, channels=4, blocks=1, embedding=4)
    networks: dict[str, tuple[torch.nn.Module, str]] = {
        CLEAN: (heedful_flow(seed=1), ""),
        "dial-x4-lite": (DialFusion(dial), f'base = "{CLEAN}"\nmode = "dial"\n'),
        "fusion-l1-x4-lite": (
            SetFusionNet(FusionConfig(samples=None, channels=4, blocks=1, embedding=4)),
            f'base = "{CLEAN}"\nmode = "fusion-l1"\n',
        ),
        "assessor": (step_finder(), ""),
    }
    if real:
        networks[REAL] = (heedful_flow(seed=2), "")
        networks["dial-x4-real-lite"] = (DialFusion(dial), f'base = "{REAL}"\nmode = "dial"\n')
    for network, _ in networks.values():
        if isinstance(network, SetFusionNet | DialFusion):  # fresh ones change nothing
            torch.nn.init.normal_(network.tail.weight, std=0.05)
    text = []
    for name, (network, more) in networks.items():
        kind = save_model(root / name, network)["kind"]
        files = ", ".join(
            f'{{ path = "{path.name}", sha256 = "{sha256(path)}", size = {path.stat().st_size} }}'
            for path in sorted((root / name).iterdir())
        )
        text.append(_ENTRY.format(name=name, kind=kind, more=more, files=files))
    (root / "catalog.toml").write_text("\n".join(text))
    return root


def heedful_flow(seed: int) -> SRFlow:
    """A calm flow whose candidates depend on the picture, not on latents alone."""
    model = calm_flow(seed=seed)
    with torch.no_grad():
        for name, parameter in model.flow.named_parameters():
            if "f_features" in name and name.endswith("weight"):
                parameter.mul_(2)
    return model


def step_finder() -> Assessor:
    """Weights made by hand."""
    network = Assessor(AssessorConfig(width=1)).eval().requires_grad_(False)
    for parameter in network.parameters():
        parameter.zero_()
    network.head.weight[0, 1 + 3 + 8] = 1.0  # the highest frequency of luma
    network.body.weight[0, 0] = 1.0
    network.tail.weight[1, 0], network.tail.bias[1] = 4.0, -4.0
    network.tail.weight[3, 0] = 1.0  # calls it noise
    network.prior[0] = -4.0
    return network
