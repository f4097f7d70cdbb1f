from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import srspace
from srspace.checkpoints import load_encoder, load_model
from srspace.cli.main import main
from srspace.hub import weights_root
from srspace.models import DialFusion

TINY = {"iterations": 2, "batch_size": 2, "patch": 32, "log_every": 1, "amp": False}


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for i in range(2):
        coarse = rng.integers(40, 215, (12, 12, 3), np.uint8)
        Image.fromarray(coarse).resize((72, 72), Image.Resampling.BICUBIC).save(folder / f"{i}.png")
    return folder


@pytest.fixture
def train(photos: Path, tmp_path: Path) -> Callable[..., int]:
    """Runs ``srspace train WHAT`` on two small pictures, by a file of short settings."""
    config = tmp_path / "short.json"
    config.write_text(json.dumps(TINY))
    common = ["--data", str(photos), "--out", str(tmp_path / "run"), "--tile", "64", "--device", "cpu"]
    return lambda what, *arguments: main(["train", what, *common, "--config", str(config), *map(str, arguments)])


def log(tmp_path: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]


def test_an_encoder_is_trained_and_validated(train: Callable[..., int], photos: Path, tmp_path: Path):
    small = ("--nb", 1, "--nf", 8, "--gc", 4)
    assert train("encoder", *small, "--val", photos, "--validate-every", 2, "--iterations", 4) == 0
    assert [sorted(r) for r in log(tmp_path) if "val_psnr_y" in r] and "val_psnr_y" in log(tmp_path)[-1]
    for folder in (tmp_path / "run", tmp_path / "run" / "best"):
        assert load_encoder(folder).config == srspace.RRDBConfig(nb=1, nf=8, gc=4)
    options = json.loads((tmp_path / "run" / "options.json").read_text())
    assert (options["nb"], options["iterations"], options["patch"], options["tile"]) == (1, 4, 32, 64)


def test_a_run_is_resumed_and_its_options_can_be_used_again(train: Callable[..., int], tmp_path: Path, capsys):
    small = ("--nb", 1, "--nf", 8, "--gc", 4)
    assert train("encoder", *small) == 0 and len(log(tmp_path)) == 2
    options = tmp_path / "run" / "options.json"
    assert train("encoder", "--config", options, "--iterations", 3) == 0
    assert [record["iteration"] for record in log(tmp_path)] == [1, 2, 3]
    assert train("encoder", "--config", options, "--restart") == 0
    assert [record["iteration"] for record in log(tmp_path)] == [1, 2, 3, 1, 2, 3]
    assert train("encoder", "--nb", 2, "--nf", 8, "--gc", 4) == 3
    assert "cannot be resumed from" in capsys.readouterr().err


def test_a_flow_is_trained_and_validated(train: Callable[..., int], photos: Path, tmp_path: Path, tiny: Path):
    assert train("flow", "--from", tiny / "x4", "--val", photos, "--learning-rate", 1e-5) == 0
    assert {"val_nll", "val_psnr_mean", "val_exploded"} <= set(log(tmp_path)[-1])
    assert srspace.load_flow(tmp_path / "run" / "best").scale == 4
    assert load_model(tmp_path / "run").encoder.config == load_model(tiny / "x4").encoder.config


def test_a_fresh_flow_is_put_on_an_encoder(train: Callable[..., int], tmp_path: Path, tiny: Path):
    assert train("flow", "--encoder", tiny / "x4", "--steps", 1, "--hidden-channels", 8) == 0
    model, encoder = srspace.load_flow(tmp_path / "run"), load_encoder(tiny / "x4")
    assert (model.flow.config.steps, model.flow.config.hidden_channels) == (1, 8)
    for key, value in encoder.state_dict().items():
        assert torch.allclose(model.encoder.state_dict()[key], value, atol=1e-3)
    assert model.flow.levels[0].transitions[0].actnorm.bias.abs().max() > 0  # set from a batch


def test_a_fusion_network_is_trained_and_validated(train: Callable[..., int], photos: Path, tmp_path: Path, tiny: Path):
    few = ("--weights", tiny / "x4", "--patches", 2, "--refresh", 1, "-n", 2, "--blocks", 1, "--channels", 8)
    assert train("fusion", *few, "--val", photos) == 0
    assert {"val_psnr_fusion", "val_psnr_mean", "val_psnr_sample"} <= set(log(tmp_path)[-1])
    assert srspace.load_fusion(tmp_path / "run" / "best").config.samples is None
    written = json.loads((tmp_path / "run" / "config.json").read_text())
    assert (written["scale"], written["loss"], written["training"]["iteration"]) == (4, "l1", 2)
    assert train("fusion", *few, "--kind", "stack", "--restart") == 0
    assert srspace.load_fusion(tmp_path / "run").config.samples == 2


def test_fusion_training_goes_on_from_given_weights(train: Callable[..., int], tmp_path: Path, tiny: Path):
    few = ("--weights", tiny / "x4", "--patches", 2, "--refresh", 0, "-n", 2)
    assert train("fusion", *few, "--from", "fusion-l1-x4-lite", "--learning-rate", 1e-9) == 0
    old = srspace.load_fusion(weights_root() / "fusion-l1-x4-lite").state_dict()
    new = srspace.load_fusion(tmp_path / "run").state_dict()
    assert all(torch.allclose(new[k], v, atol=1e-4) for k, v in old.items())


def test_a_dial_is_trained_and_validated(
    train: Callable[..., int], photos: Path, tmp_path: Path, tiny: Path, critics: object
):
    few = ("--weights", tiny / "x4", "-n", 2, "--patch", 64, "--blocks", 1, "--channels", 8, "--embedding", 4)
    assert train("dial", *few, "--val", photos) == 0
    assert {"val_psnr_0", "val_psnr_1", "val_alex_0.5", "val_psnr_sample"} <= set(log(tmp_path)[-1])
    for folder in (tmp_path / "run", tmp_path / "run" / "best"):
        network = srspace.load_fusion(folder)
        assert isinstance(network, DialFusion) and network.config.features == 24
    assert train("dial", *few, "--restart") == 0 and not any("psnr" in key for key in log(tmp_path)[-1])


def test_a_recipe_sets_the_options_and_flags_win(train: Callable[..., int], tmp_path: Path, tiny: Path, capsys):
    assert train("flow", "--recipe", "flow-5-perceptual") == 2
    assert "goes on from the weights of flow-4-perceptual" in capsys.readouterr().err
    recipe = tmp_path / "mine.toml"
    options = "noise = 3.0\nbatch_size = 7\nhead_weight = 2.0\n"
    recipe.write_text(f'task = "flow"\ndescription = "mine"\n[options]\n{options}')
    assert train("flow", "--recipe", recipe, "--from", tiny / "x4", "--noise", 4) == 0
    options = json.loads((tmp_path / "run" / "options.json").read_text())
    assert (options["noise"], options["batch_size"], options["head_weight"]) == (4.0, 2, 2.0)
    assert train("encoder", "--recipe", recipe) == 2
    assert train("encoder", "--recipe", "none") == 2


def test_recipes_are_listed(capsys):
    assert main(["train", "recipes"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("flow-5-perceptual (flow): ") for line in lines)


MISTAKES = [
    ("flow", ["--perceptual-weight", "3"], "none is named to start from"),
    ("flow", ["--mean-weight", "3"], "goes with a perceptual weight"),
    ("flow", ["--from", "srflow-da-x4-lite", "--perceptual-weight", "3"], "patches of at least 56 pixels"),
    ("flow", ["--permuted-share", "1.5"], "permuted"),
    ("flow", ["--blended-share", "2"], "blended"),
    ("flow", ["--stretched-share", "0.9", "--rendered", "4", "--rendered-share", "0.2"], "no room in a batch"),
    ("flow", ["--tau", "3"], "between 0 and 2"),
    ("encoder", ["--reduce", "0.3"], "at least 0.5"),
    ("encoder", ["--patch", "128"], "the tile the larger"),
    ("encoder", ["--iterations", "0"], "must be positive"),
    ("encoder", ["--nb", "0"], "must be positive"),
    ("encoder", ["--teacher", "nowhere"], "neither a folder nor in the catalogue"),
    ("fusion", ["--weights", "srflow-da-x4-lite", "--weights", "srflow-da-x4-lite"], "2 flows and 1 folders"),
    ("fusion", ["--loss", "lpips"], "at least 56 pixels wide"),
]


@pytest.mark.parametrize(("what", "arguments", "message"), MISTAKES)
def test_mistakes_are_one_sentence(train: Callable[..., int], tmp_path: Path, capsys, what, arguments, message):
    assert train(what, *arguments) == (3 if "nowhere" in arguments else 2)
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("srspace: ") and message in error
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("option", [["--loss", "l3"], ["--schedule", "none"], ["--iterations", "many"]])
def test_wrong_choices_are_bad_usage(train: Callable[..., int], option: list[str]):
    assert train("encoder", *option) == 2


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.json", '{"patchs": 3}', "no setting patchs (did you mean patch?); there are "),
        ("a.json", '{"iterations": "many"}', "iterations must be a whole number, not 'many'."),
        ("a.json", '{"betas": [0.9]}', "betas takes 2 values, not 1."),
        ("a.json", "[1]", "does not hold settings."),
        ("a.json", "{", "is not valid JSON."),
        ("a.toml", "x = ", "is not valid TOML."),
    ],
)
def test_a_file_of_settings_that_cannot_be_used_is_bad_usage(
    train: Callable[..., int], tmp_path: Path, capsys, name: str, text: str, message: str
):
    (tmp_path / name).write_text(text)
    assert train("encoder", "--config", tmp_path / name) == 2
    assert message in capsys.readouterr().err
    assert train("encoder", "--config", tmp_path / "nowhere.toml") == 2


def test_a_picture_that_cannot_be_read_is_named(train: Callable[..., int], photos: Path, tmp_path: Path, capsys):
    (photos / "broken.png").write_bytes((photos / "0.png").read_bytes()[:200])
    assert train("encoder") == 1
    errors = capsys.readouterr().err.strip().splitlines()
    assert "broken.png" in errors[-1] and "Traceback" not in "".join(errors)
    assert main(["train", "encoder", "--data", str(tmp_path / "no"), "--out", str(tmp_path / "y")]) == 1


@pytest.mark.parametrize("what", ["encoder", "flow", "fusion"])
def test_old_names_of_options_are_still_there(what: str, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    assert main(["train", what, "--help"]) == 0
    text = capsys.readouterr().out
    common = """--data --out --val --from --config --iterations --batch-size --patch --learning-rate --schedule --seed
        --time-limit --device --tile --reduce --reduced-share --rendered --rendered-share --stretched-share --restart
        --degraded-share --permuted-share --blended-share --compile"""
    own = {
        "encoder": "--nb --scale --loss --teacher --teacher-weight",
        "flow": """--encoder --steps --hidden-channels --noise --train-encoder --head-weight --head-loss --encoder-rate
            --perceptual-weight --mean-weight --lpips-net --tau -t""",
        "fusion": """--loss --weights --kind --samples -n --blocks --channels --tau -t --patches --refresh --lpips-net
            --judge --pixel-weight""",
    }
    words = set(text.split())
    assert [name for name in (common + " " + own[what]).split() if name not in words] == []
