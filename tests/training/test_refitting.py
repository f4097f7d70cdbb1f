"""Layers that are fitted to other features give what they gave, as far as these tell it."""

from __future__ import annotations

import dataclasses
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
from srspace.training.refitting import narrow_flow, refit_dial
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


@pytest.fixture
def dial(tiny: Path) -> DialFusion:
    return load_fusion(tiny / "dial")


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


@pytest.mark.parametrize("blocks", [(2,), (1, 2)])
def test_a_network_with_a_dial_follows_its_flow(dial: DialFusion, blocks: tuple[int, ...]):
    """To one that looks at other blocks of an encoder whose features have changed their size."""
    before = told()
    after = SRFlow(before.encoder.config, dataclasses.replace(before.flow.config, stack_blocks=blocks))
    after.encoder.load_state_dict(before.encoder.state_dict())
    after.encoder.requires_grad_(False).conv_first.weight.mul_(1.1)
    fitted = refit_dial(dial, before, after, images())
    assert fitted.config.features == 8 * (1 + len(blocks)) and not fitted.head.weight.requires_grad
    torch.manual_seed(5)
    lr, balance = torch.rand(1, 3, 12, 10), torch.tensor([0.7])
    parts = [torch.rand(1, 3, 48, 40) for _ in range(4)]
    wanted = dial(*parts, before.features(lr).joined, lr, balance)
    found = fitted(*parts, after.features(lr).joined, lr, balance)
    blind = dial(*parts, torch.zeros_like(before.features(lr).joined), lr, balance)
    inside = (..., slice(8, -8), slice(8, -8))
    assert (found - wanted)[inside].abs().max() < 0.05 * (blind - wanted)[inside].abs().max()


def test_only_some_of_the_blocks_can_be_kept():
    for blocks in ([], [0, 2], [1], [0, 1]):
        with pytest.raises(UsageError, match="some of the stacked blocks 0, 2, but not all"):
            narrow_flow(small_flow(), blocks, images(1))


def test_a_network_with_a_dial_needs_its_flow(dial: DialFusion):
    with pytest.raises(UsageError, match="a flow of other sizes"):
        refit_dial(DialFusion(DialConfig(features=20, channels=4, blocks=1)), small_flow(), small_flow(), images(1))
    with pytest.raises(UsageError, match="differ in scale"):
        refit_dial(dial, small_flow(), small_flow(8), images(1))


def test_the_commands_write_folders_that_fit_together(
    tiny: Path, tmp_path: Path, photos: Path, capsys: pytest.CaptureFixture[str]
):
    save_model(tmp_path / "flow", told(), extra={"licence": "Apache-2.0"})
    shared = ["--data", str(photos), "--count", "2"]
    narrow = ["weights", "narrow", str(tmp_path / "flow"), "--stack-block", "2", *shared]
    narrow += ["-o", str(tmp_path / "narrow")]
    assert main(narrow) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "narrow")
    refit = ["weights", "refit", str(tiny / "dial"), "--to", str(tmp_path / "narrow"), *shared]
    refit += ["-o", str(tmp_path / "fitted")]
    assert main(refit) == 2
    assert "Name the flow with --weights" in capsys.readouterr().err
    assert main([*refit, "--weights", str(tmp_path / "flow")]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "fitted")
    config = read_config(tmp_path / "narrow")
    assert config["flow"]["stack_blocks"] == [2] and config["licence"] == "Apache-2.0"
    assert config["narrowed_from"] == str(tmp_path / "flow")
    flow, network = load_flow(tmp_path / "narrow"), load_fusion(tmp_path / "fitted")
    assert network.config.features == flow.features(torch.rand(1, 3, 8, 8)).joined.shape[1] == 16
    for command, folder in ((narrow, "narrow"), ([*refit, "--weights", str(tmp_path / "flow")], "fitted")):
        before = (tmp_path / folder / "model.safetensors").read_bytes()
        assert main(command) == 1
        assert "already holds a model" in capsys.readouterr().err
        assert (tmp_path / folder / "model.safetensors").read_bytes() == before


def test_other_weights_are_refused(tiny: Path, tmp_path: Path, photos: Path, capsys: pytest.CaptureFixture[str]):
    shared = ["--data", str(photos), "--out", str(tmp_path / "out")]
    assert main(["weights", "refit", str(tiny / "fusion"), "--to", str(tiny / "x4"), *shared]) == 2
    assert "without a dial" in capsys.readouterr().err
    assert main(["weights", "narrow", str(tiny / "fusion"), "--stack-block", "0", *shared]) == 3
    assert "not flow" in capsys.readouterr().err and not (tmp_path / "out").exists()
