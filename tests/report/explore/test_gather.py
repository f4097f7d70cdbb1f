from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from srspace import Upscaler, modes
from srspace.checkpoints import save_model
from srspace.config import DialConfig, SamplingConfig
from srspace.errors import NoFlowError, StackSizeError, UsageError
from srspace.hub import fusion_networks as catalogued
from srspace.images import Picture
from srspace.metrics import psnr, to_uint8
from srspace.models import DialFusion
from srspace.report.explore import Crop, ExploreSettings, Shown, Space, gather, load_upscaler, settled
from srspace.report.explore.settings import LARGEST
from srspace.report.explore.space import CANDIDATE
from srspace.resize import imresize
from tests.networks import calm_flow
from tests.test_upscaler import fusion_networks

SETTINGS = ExploreSettings(sampling=SamplingConfig(samples=2), balances=5, metrics=("psnr", "lr-psnr"))
RGB = (0.5 + 0.1 * np.random.default_rng(0).random((10, 12, 3))).astype(np.float32)


@pytest.fixture(scope="module")
def upscaler() -> Upscaler:
    return Upscaler(calm_flow(), fusion_networks(), device="cpu", precision="fp32")


@pytest.fixture(scope="module")
def space(upscaler: Upscaler) -> Space:
    return gather(Picture(RGB), upscaler, SETTINGS, name="p.png")


def only(space: Space, mode: str) -> Shown:
    (shown,) = space.of(mode)
    return shown


def test_every_picture_is_what_upscale_makes(space: Space, upscaler: Upscaler):
    lr = torch.from_numpy(RGB.transpose(2, 0, 1))
    candidates: list[torch.Tensor] = []
    for mode in ("rrdb", "mean", "median", "fusion-l1", "fusion-lpips"):
        image, _ = upscaler.collapse(
            lr, mode=mode, sampling=SETTINGS.sampling, on_candidate=lambda i, x: candidates.append(x)
        )
        assert (only(space, mode).image == to_uint8(image).permute(1, 2, 0).numpy()).all(), mode
    dials = space.of("dial")
    assert [shown.value for shown in dials] == [0, 0.25, 0.5, 0.75, 1]
    image, _ = upscaler.collapse(lr, mode="dial", sampling=SETTINGS.sampling, balance=0.25)
    assert (dials[1].image == to_uint8(image).permute(1, 2, 0).numpy()).all()
    assert (dials[0].image != dials[4].image).any()
    assert (only(space, "bicubic").image == to_uint8(imresize(lr, 4)).permute(1, 2, 0).numpy()).all()
    found = torch.stack(candidates[-2:])
    for shown, candidate in zip(space.of(CANDIDATE), found, strict=True):
        assert (shown.image == to_uint8(candidate).permute(1, 2, 0).numpy()).all()
    spread = found.double().var(0, correction=0).mean(0).sqrt()
    assert np.allclose(space.deviation, spread, atol=1e-6) and space.deviation.max() > 0


def test_candidates_are_drawn_once(upscaler: Upscaler, monkeypatch: pytest.MonkeyPatch):
    drawn: list[int] = []
    decode = upscaler.prepared.decode
    monkeypatch.setattr(
        upscaler.prepared,
        "decode",
        lambda latents, conditions: drawn.append(len(latents[0])) or decode(latents, conditions),
    )
    gather(Picture(RGB), upscaler, SETTINGS)
    assert sum(drawn) == 2


def test_without_a_number_each_mode_takes_its_own(upscaler: Upscaler):
    usual = Upscaler(calm_flow(), {"dial": fusion_networks()["dial"]}, device="cpu", precision="fp32")
    space = gather(Picture(RGB), usual, replace(SETTINGS, sampling=SamplingConfig()))
    assert space.samples == len(space.of(CANDIDATE)) == modes.find("mean").samples == 10
    lr = torch.from_numpy(RGB.transpose(2, 0, 1))
    image, _ = usual.collapse(lr, mode="dial", balance=1.0)
    assert (space.of("dial")[-1].image == to_uint8(image).permute(1, 2, 0).numpy()).all()


def test_the_dial_agrees_with_the_input_where_upscale_does():
    dial = DialFusion(DialConfig(features=24, channels=4, blocks=1, embedding=4, consistent_below=0.5))
    upscaler = Upscaler(calm_flow(), {"dial": dial}, device="cpu", precision="fp32")
    lr = torch.from_numpy(RGB.transpose(2, 0, 1))
    for shown in gather(Picture(RGB), upscaler, SETTINGS).of("dial"):
        image, _ = upscaler.collapse(lr, mode="dial", sampling=SETTINGS.sampling, balance=shown.value or 0.0)
        assert (shown.image == to_uint8(image).permute(1, 2, 0).numpy()).all(), shown.value


def test_modes_without_a_network_are_left_out_with_the_reason():
    space = gather(Picture(RGB), Upscaler(calm_flow(), device="cpu", precision="fp32"), SETTINGS)
    assert {shown.mode for shown in space.pictures} == {"bicubic", "rrdb", "mean", "median", "candidate"}
    assert sum("is left out" in note for note in space.notes) == 3


def test_an_original_gives_scores(upscaler: Upscaler):
    hr = np.random.default_rng(1).random((40, 48, 3)).astype(np.float32)
    space = gather(Picture(RGB), upscaler, SETTINGS, hr=Picture(hr))
    assert space.metrics == ("psnr", "lr-psnr")
    shown, original = only(space, "mean"), only(space, "original")
    a, b = (torch.from_numpy(image).permute(2, 0, 1)[None] / 255 for image in (shown.image, original.image))
    assert shown.scores["psnr"] == pytest.approx(float(psnr(a, b)), abs=1e-4)
    assert not original.scores and all(p.scores for p in space.pictures if p is not original)


def test_an_original_of_another_size_is_refused(upscaler: Upscaler):
    with pytest.raises(UsageError, match="must be 48x40"):
        gather(Picture(RGB), upscaler, SETTINGS, hr=Picture(RGB))


def test_a_part_is_that_part_of_both(upscaler: Upscaler):
    hr = np.random.default_rng(1).random((40, 48, 3)).astype(np.float32)
    settings = replace(SETTINGS, crop=Crop(3, 2, 8, 6))
    space = gather(Picture(RGB), upscaler, settings, hr=Picture(hr))
    assert space.crop == Crop(3, 2, 8, 6)
    assert (space.lr == np.floor(RGB[2:8, 3:11] * 255 + 0.5).astype(np.uint8)).all()
    assert (only(space, "original").image == np.floor(hr[8:32, 12:44] * 255 + 0.5).astype(np.uint8)).all()
    with pytest.raises(UsageError, match="outside"):
        gather(Picture(RGB), upscaler, replace(SETTINGS, crop=Crop(5, 5, 8, 6)))


@pytest.mark.parametrize("kind", ["grey", "neutral"])
def test_a_grey_picture_stays_grey(upscaler: Upscaler, kind: str):
    grey = np.repeat(RGB[..., :1], 3, axis=2)
    space = gather(Picture(grey, grey=kind == "grey", neutral=kind == "neutral"), upscaler, SETTINGS)
    for shown in space.pictures:
        assert (shown.image == shown.image[..., :1]).all()


@pytest.mark.parametrize(("width", "height"), [(300, 200), (512, 512), (4000, 3000), (20000, 100), (90, 40000)])
def test_of_a_large_picture_the_middle_is_shown(width: int, height: int):
    crop = Crop.middle(width, height)
    crop.check(width, height)
    assert crop.width * crop.height <= LARGEST
    assert abs(2 * crop.left + crop.width - width) <= 1 and abs(2 * crop.top + crop.height - height) <= 1
    assert (crop.width, crop.height) == (width, height) or crop.width * crop.height > 0.9 * LARGEST


def test_too_large_a_part_is_refused():
    with pytest.raises(UsageError, match="at most 512x512"):
        Crop(0, 0, 600, 600).check(1000, 1000)


@pytest.mark.parametrize("balances", [4, 10])
def test_the_dial_has_5_to_9_balances(balances: int):
    with pytest.raises(UsageError, match="5 to 9"):
        ExploreSettings(balances=balances)


def test_weights_of_one_s_own_need_no_fusion_networks(tiny: Path):
    loaded = load_upscaler(ExploreSettings(weights=str(tiny / "x4"), device="cpu"))
    assert loaded.fusion == {}


def test_a_named_network_is_taken_for_the_modes_that_it_serves(tiny: Path, tmp_path: Path):
    def kinds(fusion: Path) -> set[str]:
        return {*load_upscaler(ExploreSettings(weights=str(tiny / "x4"), fusion=str(fusion), device="cpu")).fusion}

    assert kinds(tiny / "dial") == {"dial"}
    assert kinds(tiny / "fusion") == {"fusion-l1", "fusion-lpips"}  # nothing tells what it was trained with
    network = fusion_networks()["fusion-lpips"]
    save_model(tmp_path / "mine", network, extra={"loss": "lpips"})
    assert kinds(tmp_path / "mine") == {"fusion-lpips"}


def test_a_named_network_takes_the_place_of_the_catalogue_s_and_leaves_the_others(catalogue: Path, tmp_path: Path):
    mine = DialFusion(DialConfig(features=24, channels=4, blocks=1, embedding=4))
    torch.nn.init.normal_(mine.tail.weight, std=0.05)
    save_model(tmp_path / "mine", mine)
    settings = replace(SETTINGS, device="cpu", metrics=())
    assert {*catalogued(settings.weights)} == {"dial", "fusion-l1"}
    theirs, own = (
        gather(Picture(RGB), load_upscaler(chosen), chosen)
        for chosen in (settings, replace(settings, fusion=str(tmp_path / "mine")))
    )
    assert (theirs.of("dial")[0].image != own.of("dial")[0].image).any()
    assert (only(theirs, "fusion-l1").image == only(own, "fusion-l1").image).all()
    assert own.fusion == str(tmp_path / "mine") and theirs.fusion is None


def test_a_named_network_brings_its_flow(catalogue: Path, tiny: Path):
    settings = ExploreSettings(weights="auto", fusion="dial-x4-real-lite")
    assert settled(settings, Picture(RGB)).weights == "srflow-da-x4-real-lite"
    with pytest.raises(NoFlowError):
        settled(replace(settings, fusion=str(tiny / "dial")), Picture(RGB))


def test_a_named_network_that_cannot_be_shown_is_told(tiny: Path):
    settings = ExploreSettings(
        weights=str(tiny / "x4"), fusion=str(tiny / "fusion"), sampling=SamplingConfig(samples=3), device="cpu"
    )
    with pytest.raises(StackSizeError):
        gather(Picture(RGB), load_upscaler(settings), settings)
