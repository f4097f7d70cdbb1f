from __future__ import annotations

from pathlib import Path

import pytest
import torch

from srspace.checkpoints import save_model
from srspace.config import DialConfig, FusionConfig
from srspace.errors import UsageError
from srspace.hub import load_catalog
from srspace.models import DialFusion, FusionNet, SetFusionNet
from srspace.training.kinds import KINDS, Training
from srspace.training.loop import Loop
from srspace.training.recipes import Recipe, find_recipe, recipes
from srspace.training.run import build_task
from srspace.training.sources import Sources
from tests.networks import small_flow
from tests.training.conftest import EXACT

ALL = recipes()


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("weights")
    flow = small_flow()
    features = flow.encoder.config.nf * (1 + len(flow.flow.config.stack_blocks))
    save_model(root / "flow", flow)
    save_model(root / "dial", DialFusion(DialConfig(features=features, channels=4, blocks=1, embedding=4)))
    save_model(root / "set", SetFusionNet(FusionConfig(samples=None, channels=4, blocks=1, embedding=4)))
    save_model(root / "stack", FusionNet(FusionConfig(samples=10, channels=4, blocks=1)))
    return root


def small(recipe: Recipe, weights: Path) -> dict[str, object]:
    """What makes a recipe run on two pictures of 160 pixels: nothing of it but sizes."""
    values: dict[str, object] = {"tile": 160, "patch": 64, "batch_size": 2, "iterations": 1, "compile": False}
    if recipe.options.get("rendered"):
        values["rendered"] = 2
    if recipe.kind == "fusion":
        values |= {"weights": [str(weights / "flow")], "patches": 1, "refresh": 1}
        values |= {"start": str(weights / recipe.options["kind"])}
    elif recipe.kind == "assessor":
        values |= {"tile": 176, "patch": 96, "examples": 4}
    elif recipe.kind == "dial":
        values |= {"weights": str(weights / "flow"), "start": str(weights / "dial")}
    else:
        values |= {"start": str(weights / "flow")}
    return values


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from PIL import Image

    from srspace.data.render import render_tiles

    folder = tmp_path_factory.mktemp("pictures")
    for i, tile in enumerate(render_tiles(2, 176)):
        Image.fromarray(tile.permute(1, 2, 0).numpy()).save(folder / f"{i}.png")
    return folder


@pytest.mark.parametrize("name", ALL)
def test_every_recipe_can_be_run(name: str, weights: Path, pictures: Path, tmp_path: Path, critics):
    recipe = ALL[name]
    assert recipe.description.endswith(".") and not set(recipe.after) - set(ALL)
    training = Training.of(recipe.kind, recipe.settings(small(recipe, weights)))
    task = build_task(training, Sources((pictures,), None, training.data, training.train))
    parts = task.drawing.flows[0].pool.parts if recipe.kind == "fusion" else task.batches.pool.parts
    assert len(parts) == 1 + len(training.data.reductions) + bool(training.data.rendered) + bool(
        training.data.stretched_share
    )
    if name in ("encoder-4-permuted", "flow-7-perceptual", "joint-4-l2", "fusion-lpips-6", "dial-real-1", "assessor-1"):
        record = Loop(task, training.train, tmp_path, execution=EXACT).run()
        assert record["iteration"] == 1


def test_what_is_in_the_box_has_recipes_and_no_two_settings_share_a_name():
    made_by = {"flow": {"encoder", "flow"}, "fusion": {"fusion"}, "dial-fusion": {"dial"}, "assessor": {"assessor"}}
    kinds = {recipe.kind for recipe in ALL.values()}
    assert kinds <= set(KINDS)
    assert all(made_by[entry.kind] <= kinds for entry in load_catalog().values())
    for kind in KINDS.values():
        names = [name for _, known in kind.groups() for name in known]
        assert len(names) == len(set(names))


def test_settings_can_be_written_and_read_again():
    training = Training.of("flow", find_recipe("flow-7-perceptual", "flow").settings({"start": "a"}))
    assert training.task.perceptual_weight == 64.0 and training.data.reductions == (0.85, 0.7, 0.6, 0.5, 0.4)
    assert Training.of("flow", training.values()) == training
    assert Training.of("encoder", {}).train.iterations == 10_000


def test_mistakes_are_named(tmp_path: Path):
    with pytest.raises(UsageError, match="one of encoder, flow, fusion, dial, assessor, not 'dog'"):
        Training.of("dog", {})
    with pytest.raises(UsageError, match="training flow has no setting nb"):
        Training.of("flow", {"nb": 3})
    with pytest.raises(UsageError, match="is for training flow, not encoder"):
        find_recipe("flow-5-perceptual", "encoder")
    with pytest.raises(UsageError, match="no recipe 'x'; for this training there are encoder-1-l1"):
        find_recipe("x", "encoder")
    (tmp_path / "bad.toml").write_text('task = "flow"')
    with pytest.raises(UsageError, match="is not a recipe"):
        find_recipe(str(tmp_path / "bad.toml"), "flow")


def test_a_seed_decides_fresh_weights(pictures: Path):
    def first(seed: int) -> torch.Tensor:
        training = Training.of("encoder", {"nf": 4, "gc": 2, "nb": 1, "tile": 64, "patch": 32, "seed": seed})
        task = build_task(training, Sources((pictures,), None, training.data, training.train))
        return next(task.network.parameters())

    assert torch.equal(first(1), first(1)) and not torch.equal(first(1), first(2))
