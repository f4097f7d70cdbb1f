"""Flows and networks with a dial that look at fewer blocks give what they gave, as far as the others tell it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from srspace.checkpoints import load_flow, load_fusion, read_config, save_model
from srspace.cli.main import main
from srspace.config import DialConfig
from srspace.errors import UsageError
from srspace.models import DialFusion, SRFlow
from srspace.models.flow.coupling import ConditionalAffineCoupling
from srspace.training.narrowing import narrow_dial, narrow_flow
from tests.networks import small_flow
from tests.pictures import picture


def told() -> SRFlow:
    """A flow on the blocks 0 and 2, whose outputs are 1.2 and 1.728 times what enters the trunk."""
    model = small_flow()
    for block in model.encoder.RRDB_trunk:
        for dense in block.children():
            torch.nn.init.zeros_(dense.conv5.weight)
            torch.nn.init.zeros_(dense.conv5.bias)
    return model


def dial() -> DialFusion:
    torch.manual_seed(1)
    network = DialFusion(DialConfig(features=24, channels=4, blocks=1, embedding=4))
    torch.nn.init.normal_(network.tail.weight, std=0.05)
    return network.eval().requires_grad_(False)


def images(count: int = 6) -> list[Tensor]:
    return list(torch.rand(count, 1, 3, 24, 24, generator=torch.Generator().manual_seed(2)))


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for i in range(3):
        picture(folder / f"{i}.png", (384, 384), seed=i)
    return folder


@pytest.mark.parametrize("kept", [0, 2])
def test_a_flow_without_a_block_that_another_one_tells_decodes_the_same(kept: int):
    model = told()
    narrowed = narrow_flow(model, [kept], images())
    assert narrowed.flow.config.stack_blocks == (kept,) and model.flow.config.stack_blocks == (0, 2)
    assert not any(parameter.requires_grad for parameter in narrowed.parameters())
    lr = torch.rand(1, 3, 12, 10, generator=torch.Generator().manual_seed(3))
    torch.manual_seed(4)
    latents = [torch.randn(1, *shape) for shape in model.flow.latent_shapes(48, 40)]
    before = model.decode(lr, latents)[..., 8:-8, 8:-8]
    after = narrowed.decode(lr, latents)[..., 8:-8, 8:-8]
    lost = 8 if kept == 2 else 16
    for module in model.flow.modules():
        if isinstance(module, ConditionalAffineCoupling):
            for layer, lead in ((module.f_features.first, 0), (module.f_affine.first, module.kept)):
                layer.weight[:, lead + lost : lead + lost + 8] = 0
    without = model.decode(lr, latents)[..., 8:-8, 8:-8]
    assert (after - before).abs().max() < 0.1 * (without - before).abs().max()


def test_a_network_with_a_dial_follows_its_flow():
    model, network = told(), dial()
    narrowed = narrow_dial(network, model, [2], images())
    torch.manual_seed(5)
    lr = torch.rand(1, 3, 12, 10)
    parts = [torch.rand(1, 3, 48, 40) for _ in range(4)]
    wide = model.features(lr).joined
    seen = [*range(8), *range(16, 24)]
    balance = torch.tensor([0.7])
    before = network(*parts, wide, lr, balance)
    after = narrowed(*parts, wide[:, seen], lr, balance)
    blind = wide.clone()
    blind[:, 8:16] = 0
    without = network(*parts, blind, lr, balance)
    inside = (..., slice(8, -8), slice(8, -8))
    assert (after - before)[inside].abs().max() < 0.1 * (without - before)[inside].abs().max()


def test_only_some_of_the_blocks_can_be_kept():
    for blocks in ([], [0, 2], [1], [0, 1]):
        with pytest.raises(UsageError, match="some of the stacked blocks 0, 2, but not all"):
            narrow_flow(small_flow(), blocks, images(1))
    with pytest.raises(UsageError, match="a flow of other sizes"):
        narrow_dial(DialFusion(DialConfig(features=20, channels=4, blocks=1)), small_flow(), [0], images(1))


def test_the_command_writes_folders_that_fit_together(tmp_path: Path, photos: Path, capsys: pytest.CaptureFixture[str]):
    save_model(tmp_path / "flow", told(), extra={"licence": "Apache-2.0"})
    save_model(tmp_path / "dial", dial())
    command = ["--stack-block", "2", "--data", str(photos), "--count", "2"]
    named = {kind: [str(tmp_path / kind), "--out", str(tmp_path / f"narrow-{kind}")] for kind in ("flow", "dial")}
    assert main(["weights", "narrow", *named["flow"], *command]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "narrow-flow")
    assert main(["weights", "narrow", *named["dial"], *command]) == 2
    assert "Name the flow with --weights" in capsys.readouterr().err
    assert main(["weights", "narrow", *named["dial"], *command, "--weights", str(tmp_path / "flow")]) == 0
    config = read_config(tmp_path / "narrow-flow")
    assert config["flow"]["stack_blocks"] == [2] and config["licence"] == "Apache-2.0"
    assert config["narrowed_from"] == str(tmp_path / "flow")
    flow, network = load_flow(tmp_path / "narrow-flow"), load_fusion(tmp_path / "narrow-dial")
    assert network.config.features == flow.features(torch.rand(1, 3, 8, 8)).joined.shape[1] == 16
    before = (tmp_path / "narrow-flow" / "model.safetensors").read_bytes()
    assert main(["weights", "narrow", *named["flow"], *command]) == 1
    assert "already holds a model" in capsys.readouterr().err
    assert (tmp_path / "narrow-flow" / "model.safetensors").read_bytes() == before


def test_other_weights_are_refused(tiny: Path, tmp_path: Path, photos: Path, capsys: pytest.CaptureFixture[str]):
    out = tmp_path / "out"
    command = ["weights", "narrow", str(tiny / "fusion"), "--data", str(photos), "--out", str(out)]
    assert main([*command, "--stack-block", "0"]) == 2
    assert "not flow or dial-fusion" in capsys.readouterr().err and not out.exists()
