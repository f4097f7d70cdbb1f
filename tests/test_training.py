from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import srspace
import srspace.checkpoints
from srspace.cli.main import main
from srspace.config import FusionConfig, RRDBConfig, TrainConfig
from srspace.data.patches import PatchPool, load_pool
from srspace.errors import DataError, UsageError
from srspace.metrics import Lpips
from srspace.models import FusionNet, SetFusionNet, SRFlow
from srspace.models.flow import FlowConditions
from srspace.resize import imresize
from srspace.training.candidates import CandidateLoss
from srspace.training.encoder import oriented_output, train_encoder
from srspace.training.flow import nll_loss, train_flow, validation_figures
from srspace.training.fusion import CandidatePool, draw_candidates, train_fusion
from srspace.training.loop import Loop
from srspace.training.perceptual import perceptual_loss
from tests.conftest import small_flow


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for i in range(3):
        coarse = rng.integers(40, 215, (12, 12, 3), np.uint8)
        Image.fromarray(coarse).resize((72, 72), Image.Resampling.BICUBIC).save(folder / f"{i}.png")
    return folder


@pytest.fixture
def pool(photos: Path) -> PatchPool:
    return load_pool(photos, scale=4, tile=64)


@pytest.fixture
def critics() -> tuple[Lpips, ...]:
    try:
        return Lpips("alex"), Lpips("squeeze")
    except DataError:
        pytest.skip("no LPIPS backbones in TORCH_HOME")


WEIGHTS = Path(__file__).parents[1] / "weights"
SHORT = TrainConfig(
    iterations=6, batch_size=2, patch=32, warmup=1, log_every=2, validate_every=3, save_every=3, learning_rate=1e-3
)


def test_crops_of_hr_and_lr_show_the_same_place(pool: PatchPool):
    torch.manual_seed(0)
    hr, lr = pool.draw(16, 32)
    assert (hr.shape, lr.shape) == ((16, 3, 32, 32), (16, 3, 8, 8))
    inner = (imresize(hr, 0.25) - lr)[..., 2:-2, 2:-2]
    assert inner.abs().max() < 2.5 / 255


def test_flow_training_lowers_the_nll_and_resumes(pool: PatchPool, tmp_path: Path):
    model = small_flow()
    encoder = {k: v.clone() for k, v in model.encoder.state_dict().items()}
    config = TrainConfig(**{**SHORT.to_dict(), "iterations": 40, "log_every": 10, "ema": 0.0})
    records: list[dict[str, float]] = []
    validation = tuple(x[:2].float() / 255 for x in (pool.hr, pool.lr))
    train_flow(
        model, pool, config, tmp_path / "run", validation=validation, initialize=True, amp=False, report=records.append
    )
    assert records[-1]["loss"] < records[0]["loss"] - 0.2
    assert {"val_nll", "val_lr_psnr", "val_exploded"} <= set(records[-1])
    assert all(torch.equal(v, encoder[k]) for k, v in model.encoder.state_dict().items())
    longer = TrainConfig(**{**config.to_dict(), "iterations": 44, "log_every": 4})
    again = train_flow(small_flow(seed=9), pool, longer, tmp_path / "run", amp=False)
    assert again["iteration"] == 44 and again["loss"] < records[0]["loss"]
    saved = srspace.load_flow(tmp_path / "run")
    assert all(torch.isfinite(p).all() for p in saved.parameters())
    log = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert {"loss", "learning_rate", "iterations_per_second"} <= set(log[0])


def test_encoder_training(pool: PatchPool, tmp_path: Path):
    encoder = small_flow().encoder
    config = TrainConfig(**{**SHORT.to_dict(), "iterations": 60, "log_every": 20})
    records: list[dict[str, float]] = []
    train_encoder(encoder, pool, config, tmp_path / "run", amp=False, report=records.append)
    assert records[-1]["loss"] < records[0]["loss"]


def test_a_teacher_draws_the_encoder_towards_its_own_output(pool: PatchPool, tmp_path: Path):
    teacher = small_flow(seed=1).encoder
    config = TrainConfig(**{**SHORT.to_dict(), "iterations": 60, "ema": 0.5})
    lr = pool.draw(4, 32)[1]

    def distance(weight: float) -> float:
        encoder = small_flow().encoder
        train_encoder(encoder, pool, config, tmp_path / str(weight), teacher=teacher, teacher_weight=weight, amp=False)
        return (encoder(lr) - teacher(lr)).abs().mean().item()

    assert distance(20.0) < 0.7 * distance(0.0)


def test_an_oriented_output_is_turned_back():
    torch.manual_seed(0)
    lr = torch.rand(16, 3, 6, 6)
    upscale = torch.nn.Upsample(scale_factor=4)
    assert torch.equal(oriented_output(upscale, lr), upscale(lr))
    seen = []
    oriented_output(lambda x: seen.append(x) or x, lr)
    assert len({tuple(a.flatten().argsort()[:3].tolist()) for a in seen[0] - lr}) > 8
    assert torch.equal(seen[0].flatten(1).sort(1).values, lr.flatten(1).sort(1).values)


@pytest.mark.parametrize("loss", ["l1", "lpips"])
def test_fusion_training(pool: PatchPool, tmp_path: Path, loss, critics):
    stacks = draw_candidates(small_flow(), pool, patches=2, samples=4, patch=64)
    network = FusionNet(FusionConfig(samples=3, channels=8))
    record = train_fusion(
        network, stacks, SHORT, tmp_path / "run", loss=loss, backbones=("alex", "squeeze"), validation=stacks, amp=False
    )
    assert record["iteration"] == 6 and "val_psnr_fusion" in record
    assert {"val_alex_fusion", "val_squeeze_fusion"} <= set(record) or loss == "l1"
    assert srspace.load_fusion(tmp_path / "run").config.samples == 3


def test_the_command_trains_and_its_mistakes_are_one_sentence(photos: Path, tmp_path: Path, capsys):
    config = tmp_path / "train.json"
    config.write_text(json.dumps({"iterations": 2, "batch_size": 1, "patch": 32}))
    run = ["train", "flow", "--data", str(photos), "--tile", "64", "--device", "cpu", "--config", str(config)]
    assert main([*run, "--out", str(tmp_path / "run"), "--from", srspace.DEFAULT_WEIGHTS]) == 0
    assert srspace.load_flow(tmp_path / "run").scale == 4
    config.write_text('{"patchs": 3}')
    assert main([*run, "--out", str(tmp_path / "x")]) == 2
    assert main(["train", "fusion", "--data", str(photos), "--out", str(tmp_path / "y"), "--loss", "l3"]) == 2
    config.write_text('{"iterations": 1, "batch_size": 2, "patch": 32}')
    with_lpips = ["--from", srspace.DEFAULT_WEIGHTS, "--perceptual-weight", "3"]
    for mistake in (
        ["--perceptual-weight", "3"],
        ["--mean-weight", "3"],
        with_lpips,
        ["--permuted-share", "1.5"],
        ["--blended-share", "2"],
    ):
        capsys.readouterr()
        assert main([*run, "--out", str(tmp_path / "x"), *mistake]) == 2
        assert capsys.readouterr().err.count("\n") == 1
    assert main([*run, "--out", str(tmp_path / "x"), "--head-loss", "l3"]) == 2
    assert main(["train", "encoder", "--data", str(photos), "--out", str(tmp_path / "y"), "--loss", "lpips"]) == 2
    assert main(["train", "fusion", "--data", str(photos), "--out", str(tmp_path / "y"), "--lpips-net", "alexa"]) == 2
    assert main(["train", "encoder", "--data", str(tmp_path / "no"), "--out", str(tmp_path / "y")]) == 1
    assert "Traceback" not in capsys.readouterr().err


def test_training_the_encoder_along_keeps_its_own_output(pool: PatchPool, tmp_path: Path):
    torch.manual_seed(0)
    model = small_flow()
    before = {k: v.clone() for k, v in model.encoder.state_dict().items()}
    hr, lr = pool.draw(2, 32)
    plain = nll_loss(model, hr, lr, noise=0.0, train_encoder=True)
    with_head = nll_loss(model, hr, lr, noise=0.0, train_encoder=True, head_weight=2.0)
    expected = 2 * (model.encoder(lr) - hr).abs().mean()
    assert torch.isclose(with_head - plain, expected, atol=1e-4)
    squared = nll_loss(model, hr, lr, noise=0.0, train_encoder=True, head_weight=2.0, head_loss="l2")
    assert torch.isclose(squared - plain, 2 * (model.encoder(lr) - hr).square().mean(), atol=1e-4)
    train_flow(model, pool, SHORT, tmp_path / "run", train_encoder=True, head_weight=1.0, amp=False)
    assert any(not torch.equal(v, before[k]) for k, v in model.encoder.state_dict().items())


def test_validation_decodes_with_the_inverses_of_the_averaged_weights(pool: PatchPool, tmp_path: Path):
    model = small_flow().requires_grad_(True)
    hr, lr = pool.draw(1, 32)

    def error(network: torch.nn.Module) -> dict[str, float]:
        assert network is model
        with torch.no_grad():  # with gradients, inverses are not kept
            decoded = model.decode(lr, model.encode(hr, lr)[0])
        return {"error": (decoded - hr).abs().max().item()}

    assert error(model)["error"] < 1e-3
    loop = Loop(model, lambda: torch.zeros(()), SHORT, tmp_path, validate=error)
    for parameter in model.parameters():  # as a replayed CUDA graph does: no version counter moves
        values = parameter.detach().numpy()
        values *= 1.01
    loop.average = [p.detach().clone() for p in model.parameters()]
    assert error(model)["error"] > 1e-3
    assert loop._validation()["error"] < 1e-3
    assert error(model)["error"] < 1e-3


def test_the_weights_that_validated_best_are_kept(tmp_path: Path):
    network = small_flow().encoder.requires_grad_(True)
    weight = network.conv_last.bias
    figures = iter([3.0, 1.0, 2.0, 1.5])
    kept: list[torch.Tensor] = []

    def loop(iterations: int) -> Loop:
        config = TrainConfig(**{**SHORT.to_dict(), "iterations": iterations, "log_every": 1, "validate_every": 1})
        return Loop(
            network, lambda: weight.sum(), config, tmp_path, validate=lambda _: {"figure": next(figures)},
            score=lambda found: found["figure"], dtype=torch.float32,
            report=lambda _: kept.append(srspace.checkpoints.load_encoder(tmp_path / "best").conv_last.bias.detach()),
        )  # fmt: skip

    loop(3).run()
    resumed = loop(4)
    assert resumed.resume() and resumed.best == 1.0
    resumed.run()
    assert not torch.equal(kept[0], kept[1])
    assert torch.equal(kept[1], kept[2]) and torch.equal(kept[1], kept[3])


def test_the_encoders_rate_is_a_factor(pool: PatchPool, tmp_path: Path):
    model = small_flow().requires_grad_(True)
    loop = Loop(model, lambda: torch.zeros(()), SHORT, tmp_path, rates={"encoder.": 0.25})
    loop._set_learning_rate(0.0)
    rates = {len(g["params"]): g["lr"] for g in loop.optimizer.param_groups}
    count = len(list(model.encoder.parameters()))
    assert rates[count] == pytest.approx(0.25 * rates[len(loop.parameters) - count])


def test_candidates_decoded_together_belong_to_their_own_patch(pool: PatchPool):
    model, flat = small_flow(), torch.full((4, 3, 48, 48), 30, dtype=torch.uint8)
    flat += 50 * torch.arange(4, dtype=torch.uint8).view(-1, 1, 1, 1)
    tiles = PatchPool(flat, flat[..., ::4, ::4])
    grouped = draw_candidates(
        model, tiles, patches=4, samples=5, patch=48, temperatures=[0.0], together=3, in_order=True
    )
    single = draw_candidates(
        model, tiles, patches=4, samples=5, patch=48, temperatures=[0.0], together=1, in_order=True
    )
    assert torch.equal(grouped.hr, flat) and len({x.float().mean().item() for x in grouped.candidates[:, 0]}) == 4
    assert (grouped.candidates.int() - single.candidates.int()).abs().max() <= 1


def picture_flow() -> SRFlow:
    """A small flow that can be trained and whose candidates are in the range of pictures, 0.5 + 0.2 z."""
    model = small_flow().requires_grad_(True)
    with torch.no_grad():
        model.flow.levels[0].transitions[0].actnorm.bias.fill_(-0.5)
        model.flow.levels[0].transitions[0].actnorm.logs.fill_(1.6)
    return model


@pytest.mark.parametrize(("weights", "figure"), [((1e4, 0.0), "val_alex_sample"), ((1e-3, 1e5), "val_psnr_mean")])
def test_losses_of_candidates_improve_what_they_name(pool: PatchPool, tmp_path: Path, critics, weights, figure):
    critics = critics[:1]
    hr, lr = pool.draw(2, 64)
    # Weights that leave the likelihood no say: what improves does so by the gradients of the inverse.
    losses = CandidateLoss(critics, *weights, (0.8, 0.9))
    config = TrainConfig(**{**SHORT.to_dict(), "iterations": 18, "patch": 64, "learning_rate": 3e-3, "ema": 0.5})
    model = picture_flow()
    before = validation_figures(model.eval(), hr, lr, noise=0.0, critics=critics)
    record = train_flow(model, pool, config, tmp_path / "run", validation=(hr, lr), candidates=losses, amp=False)
    after = validation_figures(model.eval(), hr, lr, noise=0.0, critics=critics)
    if figure == "val_alex_sample":
        assert after[figure] < 0.9 * before[figure]
    else:
        assert after[figure] > before[figure] + 1
    assert record[figure] == pytest.approx(after[figure], rel=0.3)
    scores = [
        r["val_nll"] + losses.score(r)
        for r in map(json.loads, (tmp_path / "run" / "log.jsonl").read_text().splitlines())
        if "val_nll" in r
    ]
    best = json.loads((tmp_path / "run" / "best" / "config.json").read_text())["training"]["iteration"]
    assert best == 6 * (1 + int(np.argmin(scores)))  # validated where 2 (log) and 3 meet


@pytest.mark.parametrize("sizes", [{"patch": 40}, {"batch_size": 1}])
def test_losses_of_candidates_refuse_batches_that_do_not_suffice(pool: PatchPool, tmp_path: Path, critics, sizes):
    config = TrainConfig(**{**SHORT.to_dict(), "patch": 64, **sizes})
    with pytest.raises(UsageError, match="56 pixels, and two in a batch"):
        train_flow(picture_flow(), pool, config, tmp_path / "run", candidates=CandidateLoss(critics[:1], 1.0))
    assert not (tmp_path / "run").exists()


def test_the_error_of_the_mean_does_not_count_how_far_candidates_lie_apart(critics):
    """With errors of its own in every candidate it is zero on average; what they share is squared."""

    class Noise:
        def __init__(self, shared: float) -> None:
            self.shared = shared

        def latent_shapes(self, height: int, width: int) -> list[tuple[int, int, int]]:
            return [(3, height, width)]

        def inverse(self, latents: list[torch.Tensor], conditions: FlowConditions) -> torch.Tensor:
            return 0.5 + self.shared + 0.1 * latents[0]

    hr = torch.full((8, 3, 160, 160), 0.5)
    nothing = FlowConditions(())
    for shared in (0.0, 0.1):
        loss = CandidateLoss(critics[:1], 0.0, 1.0)
        value = loss(Noise(shared), nothing, hr)  # type: ignore[arg-type]
        assert value.item() == pytest.approx(shared**2, abs=2e-4)


def test_a_candidate_that_explodes_gives_no_gradient(pool: PatchPool, critics):
    model = small_flow().requires_grad_(True)
    hr, lr = pool.draw(2, 64)
    conditions = model.conditions(model.features(lr))
    loss = CandidateLoss(critics, 1.0, 1.0, (1e8,))(model.flow, conditions, hr)
    gradients = torch.autograd.grad(loss, list(model.flow.parameters()), allow_unused=True)
    assert loss.item() < 1e-4
    assert all(g is None or torch.equal(g, torch.zeros_like(g)) for g in gradients)


def test_a_perceptual_loss_has_a_gradient_everywhere(critics: tuple[Lpips, ...]):
    torch.manual_seed(0)
    hr = torch.rand(2, 3, 48, 48)
    same = hr.clone().requires_grad_()
    perceptual_loss(same, hr, critics).backward()
    assert same.grad is not None and torch.isfinite(same.grad).all()
    other = (hr * 0.8).requires_grad_()
    values = [perceptual_loss(other, hr, critics) for _ in range(12)]
    assert len({round(value.item(), 6) for value in values}) > 6  # the grid lies at a random place
    torch.stack(values).sum().backward()
    assert (other.grad[..., 8:-8, 8:-8].abs().sum((0, 1)) > 0).all()


def test_gradients_of_the_inverse_are_those_of_the_decoded_image(pool: PatchPool):
    """The cached inverse of the linear maps and the differentiable one agree, and so do finite differences."""
    model = small_flow().double().requires_grad_(True)
    lr = pool.draw(1, 16)[1].double()
    with torch.no_grad():
        conditions = model.conditions(model.features(lr))
        latents = [torch.randn(1, *s, dtype=torch.double) * 0.5 for s in model.flow.latent_shapes(16, 16)]
        plain = model.flow.inverse(latents, conditions)
    parameter = model.flow.levels[0].steps[0].invconv.weight
    out = model.flow.inverse(latents, conditions)
    assert torch.allclose(out, plain, atol=1e-5)
    (gradient,) = torch.autograd.grad(out.square().sum(), parameter)
    change = torch.zeros_like(parameter)
    change[1, 2] = 1e-5
    with torch.no_grad():
        values = []
        for sign in (1, -1):
            parameter.add_(sign * change)
            values.append(model.flow.inverse(latents, conditions).square().sum())
            parameter.sub_(sign * change)
    assert gradient[1, 2].item() == pytest.approx(((values[0] - values[1]) / 2e-5).item(), rel=1e-2)


def test_fresh_candidates_replace_the_oldest(pool: PatchPool, tmp_path: Path):
    stacks = draw_candidates(small_flow(), pool, patches=4, samples=3, patch=48)
    fresh = draw_candidates(small_flow(seed=5), pool, patches=3, samples=3, patch=48)
    before = stacks.hr.clone()
    stacks.replace(2, fresh)
    assert torch.equal(stacks.hr[[2, 3, 0]], fresh.hr) and torch.equal(stacks.hr[1], before[1])
    calls: list[int] = []

    def refresh() -> CandidatePool:
        calls.append(1)
        return fresh

    network = SetFusionNet(FusionConfig(samples=None, channels=8, blocks=1, embedding=4))
    train_fusion(network, stacks, SHORT, tmp_path / "run", loss="l1", refresh=refresh, refresh_every=2, amp=False)
    assert len(calls) == 3 and srspace.load_fusion(tmp_path / "run").config.samples is None


@pytest.mark.parametrize(
    ("what", "sizes"),
    [
        (["encoder", "--nb", "1"], RRDBConfig(nb=1)),
        (["fusion", "--patches", "2", "--refresh", "1", "-n", "2"], FusionConfig(samples=None)),
    ],
)
def test_two_processes_train_one_network(
    photos: Path, tmp_path: Path, what: list[str], sizes: RRDBConfig | FusionConfig
):
    config = tmp_path / "train.json"
    config.write_text(json.dumps({**SHORT.to_dict(), "iterations": 4, "time_limit": 100}))
    arguments = ["train", *what, "--data", str(photos), "--tile", "64", "--device", "cpu"]
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "srspace"]
    done = subprocess.run(
        [*command, *arguments, "--config", str(config), "--out", str(tmp_path / "run")],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    log = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert [record["iteration"] for record in log] == [2, 4]
    assert srspace.checkpoints.load_model(tmp_path / "run").config == sizes


def test_fusion_training_goes_on_from_given_weights(photos: Path, tmp_path: Path):
    config = tmp_path / "train.json"
    config.write_text(json.dumps({"iterations": 1, "batch_size": 1, "patch": 32, "learning_rate": 1e-9}))
    run = ["train", "fusion", "--data", str(photos), "--tile", "64", "--device", "cpu", "--config", str(config)]
    run += ["--patches", "1", "--refresh", "0", "-n", "2", "--from", "fusion-l1-x4-lite"]
    assert main([*run, "--out", str(tmp_path / "run")]) == 0
    old = srspace.load_fusion(WEIGHTS / "fusion-l1-x4-lite").state_dict()
    new = srspace.load_fusion(tmp_path / "run").state_dict()
    assert all(torch.allclose(new[k], v, atol=1e-4) for k, v in old.items())


def test_each_flow_draws_candidates_of_pictures_of_its_own(tmp_path: Path, monkeypatch, capsys):
    """What a flow was trained on it knows by heart, and a fusion network learns nothing from that."""
    for name, grey in (("dark", 40), ("bright", 200)):
        (tmp_path / name).mkdir()
        Image.new("RGB", (64, 64), (grey,) * 3).save(tmp_path / name / "a.png")
    config = tmp_path / "train.json"
    config.write_text(json.dumps({"iterations": 1, "batch_size": 1, "patch": 32}))
    run = ["train", "fusion", "--tile", "64", "--device", "cpu", "--config", str(config)]
    run += ["--out", str(tmp_path / "run")]
    run += ["--patches", "5", "--refresh", "1", "-n", "2", "--data", str(tmp_path / "dark"), "--weights"]
    assert main([*run, srspace.DEFAULT_WEIGHTS, "--weights", srspace.DEFAULT_WEIGHTS]) == 2
    assert "2 flows and 1 folders" in capsys.readouterr().err
    other = tmp_path / "other"
    srspace.checkpoints.save_model(other, srspace.load_flow(WEIGHTS / srspace.DEFAULT_WEIGHTS))
    seen: list[CandidatePool] = []
    monkeypatch.setattr("srspace.training.fusion.train_fusion", lambda _network, pool, *_, **__: seen.append(pool))
    sources = [srspace.DEFAULT_WEIGHTS, "--data", str(tmp_path / "bright"), "--weights", str(other)]
    assert main([*run, *sources]) == 0
    assert [round(x.float().mean().item()) for x in seen[0].hr] == [40, 40, 200, 200, 200]
    greys = seen[0].candidates.float().mean((1, 2, 3, 4))
    assert torch.allclose(greys, torch.tensor([40.0, 40, 200, 200, 200]), atol=4)
