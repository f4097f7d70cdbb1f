from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import srspace
from srspace.checkpoints import average, convert, load_encoder, save_model
from srspace.config import RRDBConfig
from srspace.errors import CheckpointError, OutputError, UsageError
from srspace.layouts import published_names
from srspace.models import PreparedSRFlow, RRDBNet, SRFlow
from tests.networks import small_flow
from tests.published import encode, random_state


def published(model: SRFlow) -> dict[str, torch.Tensor]:
    """The state dict of ``model`` under published names."""
    names = {ours: theirs for theirs, ours in published_names(model.flow.config)}
    prefixes = sorted(names, key=len, reverse=True)
    out = {}
    for key, value in model.state_dict().items():
        if key.startswith("encoder."):
            out["RRDB." + key.removeprefix("encoder.")] = value
        else:
            prefix = next(p for p in prefixes if key.startswith(p))
            out[names[prefix] + key.removeprefix(prefix)] = value
    return out


def test_parity_with_the_published_network(shared: Path, tmp_path: Path):
    parity = shared / "spec" / "parity"
    report = convert(parity / "srflow_da_official_layout.pth", tmp_path / "model")
    assert report.kind == "flow" and "CC BY-NC-SA" in report.notes[0]
    model = srspace.load_flow(tmp_path / "model")
    reference = load_file(parity / "reference_tensors.safetensors")
    latents, nll = model.encode(reference["hr"], reference["lr"])
    for i, latent in enumerate(latents):
        assert torch.allclose(latent, reference[f"encoded_eps_{i}"], atol=1e-4)
    assert torch.allclose(nll, reference["nll_bits_per_dim"], atol=1e-4)
    sr = model.decode(reference["lr"], [reference["sample_eps_0"], reference["sample_eps_1"]])
    assert torch.allclose(sr, reference["sr"], atol=1e-4)
    prepared = PreparedSRFlow(model)
    features = prepared.features(reference["lr"])
    sr = prepared.decode([reference["sample_eps_0"], reference["sample_eps_1"]], prepared.conditions(features))
    assert torch.allclose(sr, reference["sr"], atol=1e-4)
    assert torch.allclose(prepared.regression(features), reference["rrdb_out"], atol=1e-4)
    assert torch.allclose(model.encoder(reference["lr"]), reference["rrdb_out"], atol=1e-4)
    assert torch.allclose(model.decode(reference["lr"], latents), reference["hr"], atol=1e-4)


@pytest.mark.parametrize("scale", [4, 8])
def test_published_layout_is_recognised_at_other_sizes(tmp_path: Path, scale: int):
    model = small_flow(scale)
    torch.save(published(model) | {"flowUpsamplerNet.f.0.bias": torch.zeros(3)}, tmp_path / "in.pth")
    report = convert(tmp_path / "in.pth", tmp_path / "out", overrides={"stack_blocks": [0, 2]}, licence="MIT")
    loaded = srspace.load_flow(tmp_path / "out")
    assert loaded.flow.config == model.flow.config and loaded.encoder.config == model.encoder.config
    assert report.config["licence"] == "MIT"
    lr, hr = torch.rand(1, 3, 4, 4), torch.rand(1, 3, 4 * scale, 4 * scale)
    assert torch.allclose(loaded.encode(hr, lr)[1], model.encode(hr, lr)[1], atol=1e-5)


def test_plain_esrgan_layouts(tmp_path: Path):
    encoder = small_flow().encoder
    renamed = {"trunk_conv": "conv_body", "upconv1": "conv_up1", "upconv2": "conv_up2", "HRconv": "conv_hr"}
    state = {}
    for key, value in encoder.state_dict().items():
        head, rest = key.split(".", 1)
        key = "body." + rest.replace("RDB", "rdb") if head == "RRDB_trunk" else f"{renamed.get(head, head)}.{rest}"
        state[key] = value
    torch.save({"params_ema": state}, tmp_path / "in.pth")
    convert(tmp_path / "in.pth", tmp_path / "out", overrides={"skip": "trunk"})
    lr = torch.rand(1, 3, 5, 5)
    assert torch.allclose(load_encoder(tmp_path / "out")(lr), encoder(lr), atol=1e-6)


def test_the_second_writing_of_the_published_network_agrees_with_the_fixture(shared: Path):
    parity = shared / "spec" / "parity"
    state = torch.load(parity / "srflow_da_official_layout.pth", weights_only=True)
    reference = load_file(parity / "reference_tensors.safetensors")
    latents, nll, head = encode(state, reference["hr"], reference["lr"], nb=4, scale=4, steps=2, blocks=[0, 1, 2, 3])
    assert torch.allclose(nll, reference["nll_bits_per_dim"], atol=1e-5)
    assert torch.allclose(head, reference["rrdb_out"], atol=1e-5)
    for i, latent in enumerate(latents):
        assert torch.allclose(latent, reference[f"encoded_eps_{i}"], atol=1e-5)


@pytest.mark.parametrize("prefix", ["", "module.", "netG.module."])
@pytest.mark.parametrize(
    "sizes",
    [
        {"nf": 16, "gc": 8, "nb": 5, "scale": 8, "steps": 3, "hidden": 12, "stacked": 4},
        {"nf": 8, "gc": 4, "nb": 2, "scale": 8, "steps": 1, "hidden": 6, "stacked": 1, "hidden_layers": 2},
        {"nf": 12, "gc": 5, "nb": 23, "scale": 4, "steps": 5, "hidden": 7, "stacked": 4, "hidden_layers": 1},
    ],
)
def test_converted_weights_compute_what_the_published_network_computes(tmp_path: Path, sizes: dict, prefix: str):
    state = random_state(**sizes)
    torch.save({"state_dict": {prefix + k: v for k, v in state.items()}}, tmp_path / "in.pth")
    convert(tmp_path / "in.pth", tmp_path / "out")
    model = srspace.load_flow(tmp_path / "out")
    scale = sizes["scale"]
    generator = torch.Generator().manual_seed(1)
    lr = torch.rand(2, 3, 3, 5, generator=generator)
    hr = torch.rand(2, 3, 3 * scale, 5 * scale, generator=generator)
    latents, nll, head = encode(
        state,
        hr,
        lr,
        nb=sizes["nb"],
        scale=scale,
        steps=sizes["steps"],
        blocks=list(model.flow.config.stack_blocks),
        hidden_layers=sizes.get("hidden_layers", 4),
    )
    ours, our_nll = model.encode(hr, lr)
    assert [z.shape for z in ours] == [z.shape for z in latents]
    assert all(torch.allclose(a, b, atol=1e-4) for a, b in zip(ours, latents, strict=True))
    assert torch.allclose(our_nll, nll, atol=1e-4)
    assert torch.allclose(model.encoder(lr), head, atol=1e-4)
    assert torch.allclose(model.decode(lr, latents), hr, atol=1e-4)


def test_names_and_sizes_of_published_configuration_files_are_understood(tmp_path: Path, shared: Path):
    parity = shared / "spec" / "parity"
    settings = json.loads((parity / "config.json").read_text())
    report = convert(parity / "srflow_da_official_layout.pth", tmp_path / "out", overrides=settings)
    assert report.config["flow"]["stack_blocks"] == (0, 1, 2, 3)
    assert any("note, seed" in note for note in report.notes)


@pytest.mark.parametrize("blocks", ["all", [0.5, 2], 3, [0, 9], [0]])
def test_settings_that_do_not_fit_get_one_sentence(tmp_path: Path, model: SRFlow, blocks: object):
    torch.save(published(model), tmp_path / "in.pth")
    with pytest.raises(CheckpointError, match="stack_blocks"):
        convert(tmp_path / "in.pth", tmp_path / "out", overrides={"stack_blocks": blocks})
    assert not (tmp_path / "out").exists()


def test_an_srflow_encoder_alone_keeps_its_skip(tmp_path: Path, model: SRFlow):
    state = {k: v for k, v in published(model).items() if k.startswith("RRDB.")}
    torch.save(state, tmp_path / "in.pth")
    assert convert(tmp_path / "in.pth", tmp_path / "out").config["encoder"]["skip"] == "trunk"
    lr = torch.rand(1, 3, 5, 5)
    assert torch.allclose(load_encoder(tmp_path / "out")(lr), model.encoder(lr), atol=1e-6)


@pytest.mark.parametrize("scale", [2, 4, 8])
def test_the_first_release_of_esrgan_is_recognised_at_every_scale(tmp_path: Path, scale: int):
    encoder = small_flow(scale).encoder if scale > 2 else RRDBNet(RRDBConfig(scale=2, nf=8, gc=4, nb=3))
    ups = [3 * (i + 1) for i in range(encoder.doublings)]
    names = {"conv_first": "model.0", "trunk_conv": f"model.1.sub.{encoder.config.nb}"}
    names |= {f"upconv{i + 1}": f"model.{index}" for i, index in enumerate(ups)}
    names |= {"HRconv": f"model.{ups[-1] + 2}", "conv_last": f"model.{ups[-1] + 4}"}
    state = {}
    for key, value in encoder.state_dict().items():
        parts = key.split(".")
        if parts[0] == "RRDB_trunk":
            state[f"model.1.sub.{'.'.join(parts[1:4])}.0.{parts[4]}"] = value
        else:
            state[f"{names[parts[0]]}.{parts[1]}"] = value
    torch.save(state, tmp_path / "in.pth")
    convert(tmp_path / "in.pth", tmp_path / "out", overrides={"skip": encoder.config.skip})
    lr = torch.rand(1, 3, 5, 5)
    assert torch.allclose(load_encoder(tmp_path / "out")(lr), encoder(lr), atol=1e-6)


class Bomb:
    def __reduce__(self):
        return (print, ("executed",))


def test_files_that_are_not_checkpoints_get_one_sentence(tmp_path: Path, capsys):
    for name, content in {"a.pth": b"", "b.pth": b"hello", "c.safetensors": b"hello"}.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(CheckpointError):
            convert(tmp_path / name, tmp_path / "out")
    torch.save({"x": Bomb()}, tmp_path / "bomb.pth")
    with pytest.raises(CheckpointError):
        convert(tmp_path / "bomb.pth", tmp_path / "out")
    assert "executed" not in capsys.readouterr().out
    with (tmp_path / "bomb.pth").open("wb") as file:
        pickle.dump({"x": Bomb()}, file)
    with pytest.raises(CheckpointError):
        convert(tmp_path / "bomb.pth", tmp_path / "out")
    printed = capsys.readouterr()
    assert printed.out == printed.err == ""
    for keys in ("x", "conv_first.weight", "model.1.sub.x.weight", "flowUpsamplerNet.layers.x"):
        torch.save({keys: torch.zeros(3)}, tmp_path / "other.pth")
        with pytest.raises(CheckpointError, match="no known layout"):
            convert(tmp_path / "other.pth", tmp_path / "out")
    with pytest.raises(CheckpointError, match="is not a file"):
        convert(tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_conversion_does_not_replace_a_model(tmp_path: Path, model: SRFlow):
    save_model(tmp_path / "out", model)
    torch.save(published(model), tmp_path / "in.pth")
    with pytest.raises(OutputError, match="already holds"):
        convert(tmp_path / "in.pth", tmp_path / "out")


def test_damaged_folders_are_refused(tmp_path: Path, model: SRFlow):
    folder = tmp_path / "m"
    save_model(folder, model)
    data = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(data[: len(data) // 2])
    with pytest.raises(CheckpointError):
        srspace.load_flow(folder)
    (folder / "model.safetensors").write_bytes(data)
    config = json.loads((folder / "config.json").read_text())
    config["flow"]["steps"] = 3
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match="does not fit"):
        srspace.load_flow(folder)
    with pytest.raises(CheckpointError):
        srspace.load_fusion(tmp_path)


def test_weights_that_are_not_finite_are_refused(tmp_path: Path, model: SRFlow):
    save_model(tmp_path / "m", model)
    path = tmp_path / "m" / "model.safetensors"
    for value in (float("nan"), float("inf")):
        state = load_file(path)
        next(iter(state.values())).view(-1)[0] = value
        save_file(state, path)
        with pytest.raises(CheckpointError, match="not finite"):
            srspace.load_flow(tmp_path / "m")


def test_average_of_models(tmp_path: Path, model: SRFlow):
    other = small_flow(seed=1)
    save_model(tmp_path / "a", model, extra={"training": {"iteration": 5}, "licence": "MIT"}, dtype=torch.float16)
    save_model(tmp_path / "b", other, dtype=torch.float16)
    config = average([tmp_path / "a", tmp_path / "b"], tmp_path / "mix", shares=(3, 1))
    a, b, mix = (load_file(tmp_path / name / "model.safetensors") for name in ("a", "b", "mix"))
    assert all(torch.equal(mix[k], (0.75 * a[k].double() + 0.25 * b[k].double()).half()) for k in a)
    assert config["average_of"] == {str(tmp_path / "a"): 0.75, str(tmp_path / "b"): 0.25}
    assert config["licence"] == "MIT" and "training" not in config
    average([tmp_path / "a", tmp_path / "a"], tmp_path / "same")
    same = load_file(tmp_path / "same" / "model.safetensors")
    assert all(torch.equal(same[k], a[k]) for k in a)
    assert isinstance(srspace.load_flow(tmp_path / "mix"), SRFlow)


def test_what_cannot_be_averaged_gets_one_sentence(tmp_path: Path, model: SRFlow):
    save_model(tmp_path / "a", model)
    save_model(tmp_path / "smaller", small_flow(8))
    save_model(tmp_path / "encoder", model.encoder)
    for other in ("smaller", "encoder"):
        with pytest.raises(CheckpointError, match="different kinds or sizes"):
            average([tmp_path / "a", tmp_path / other], tmp_path / "mix")
    with pytest.raises(UsageError, match="at least two"):
        average([tmp_path / "a"], tmp_path / "mix")
    for shares in ((1.0,), (1.0, 0.0), (1.0, float("nan"))):
        with pytest.raises(UsageError, match="2 positive shares"):
            average([tmp_path / "a"] * 2, tmp_path / "mix", shares=shares)
    assert not (tmp_path / "mix").exists()
    with pytest.raises(OutputError, match="already holds"):
        average([tmp_path / "a"] * 2, tmp_path / "a")
