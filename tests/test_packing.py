from __future__ import annotations

from pathlib import Path

import pytest
import torch

from srspace.checkpoints import average, load_model, pack_model, read_config, save_model
from srspace.errors import CheckpointError, OutputError
from srspace.packing import is_packed, pack, unpack
from tests.networks import small_flow


def test_large_tensors_come_back_within_half_a_step():
    torch.manual_seed(0)
    state = {
        "kernel": torch.randn(20, 16, 3, 3) * torch.logspace(-3, 1, 20)[:, None, None, None],
        "odd": torch.randn(33, 37),
        "bias": torch.randn(20),
        "small": torch.randn(3, 3),
        "number": torch.arange(5000).view(50, 100),
        "zero": torch.zeros(40, 40),
    }
    packed = pack(state)
    assert is_packed(packed) and not is_packed(state)
    back = unpack(packed)
    assert set(back) == set(state)
    for name in ("bias", "small", "number", "zero"):
        assert torch.equal(back[name], state[name]), name
    for name in ("kernel", "odd"):
        step = state[name].flatten(1).abs().amax(1) / 511
        error = (back[name] - state[name]).flatten(1).abs().amax(1)
        assert back[name].shape == state[name].shape and (error <= 0.5001 * step).all()
    assert all(torch.equal(a, b) for a, b in zip(pack(back).values(), packed.values(), strict=True))


def test_it_takes_ten_bits_an_element():
    packed = pack({"kernel": torch.randn(64, 64, 3, 3)})
    assert sum(part.nbytes for part in packed.values()) == 64 * 64 * 9 * 10 // 8 + 4 * 64


@pytest.mark.parametrize("broken", ["kernel.high", "kernel.step"])
def test_parts_that_do_not_fit_are_found(broken: str):
    packed = pack({"kernel": torch.randn(64, 64)})
    packed[broken] = packed[broken][1:]
    with pytest.raises(ValueError, match="kernel"):
        unpack(packed)
    if broken.endswith("high"):
        del packed[broken]
        with pytest.raises(ValueError, match="kernel"):
            unpack(packed)


def test_a_model_folder_can_hold_packed_weights(tmp_path: Path):
    model = small_flow()
    save_model(tmp_path / "packed", model, packed=True)
    save_model(tmp_path / "plain", model)
    sizes = [(tmp_path / name / "model.safetensors").stat().st_size for name in ("packed", "plain")]
    assert sizes[0] < sizes[1]
    loaded = load_model(tmp_path / "packed")
    for key, value in model.state_dict().items():
        assert (loaded.state_dict()[key] - value).abs().max() <= 0.002 * value.abs().max(), key
    torch.manual_seed(0)
    lr = torch.rand(1, 3, 8, 8)
    assert (loaded.encoder(lr) - model.encoder(lr)).abs().max() < 0.01


def test_a_damaged_packed_file_is_refused(tmp_path: Path):
    from safetensors.torch import load_file, save_file

    save_model(tmp_path, small_flow(), packed=True)
    state = load_file(tmp_path / "model.safetensors")
    key = next(key for key in state if key.endswith(".high"))
    state[key] = state[key][:-1].clone()
    save_file(state, tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match="damaged"):
        load_model(tmp_path)


def test_packing_a_folder_keeps_its_configuration(tmp_path: Path):
    save_model(tmp_path / "plain", small_flow(), extra={"licence": "Apache-2.0"}, dtype=torch.float16)
    config = pack_model(tmp_path / "plain", tmp_path / "packed")
    assert config == read_config(tmp_path / "plain") == read_config(tmp_path / "packed")
    average([tmp_path / "packed"] * 2, tmp_path / "average")
    sizes = [(tmp_path / name / "model.safetensors").stat().st_size for name in ("packed", "average", "plain")]
    assert sizes[0] == sizes[1] < sizes[2]
    with pytest.raises(OutputError, match="already holds"):
        pack_model(tmp_path / "plain", tmp_path / "packed")
