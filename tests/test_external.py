"""Models of other projects in our engine: what they make of a picture is what they make of it on their own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from srspace.batch import BatchSettings, Done, upscale_files
from srspace.checkpoints import save_model
from srspace.errors import CheckpointError, DeviceMemoryError, UsageError
from srspace.external import load_descriptor
from srspace.hub import sha256
from srspace.images import Picture, read_header, read_picture, write_picture
from srspace.resize import imresize, reduced
from srspace.sizes import TargetSize
from srspace.upscaler import Upscaler
from tests.external_models import write_compact, write_esrgan
from tests.networks import small_flow
from tests.pictures import picture


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """A model for each scale; one is in safetensors."""
    folder = tmp_path_factory.mktemp("models")
    return {
        4: write_esrgan(folder / "x4.pth"),
        2: write_compact(folder / "x2.safetensors", scale=2),
        1: write_compact(folder / "x1.pth", scale=1),
    }


def noise(height: int = 12, width: int = 20) -> Picture:
    return Picture(np.random.default_rng(0).random((height, width, 3), np.float32))


@pytest.mark.parametrize("scale", [4, 2, 1])
def test_inside_of_a_picture_the_result_is_the_models_own(files: dict[int, Path], scale: int):
    upscaler = Upscaler.load(str(files[scale]), device="cpu", precision="fp32")
    given = noise()
    result = upscaler.upscale(given)
    lr = torch.from_numpy(given.rgb.transpose(2, 0, 1))[None]
    expected = load_descriptor(files[scale])(lr)[0].numpy().transpose(1, 2, 0)
    inner = (slice(5 * scale, -5 * scale), slice(5 * scale, -5 * scale))  # beyond edges we mirror the picture
    found = result.picture.rgb
    assert upscaler.scale == scale and (result.mode, result.samples) == ("model", 0)
    assert found.shape == expected.shape and np.ptp(expected[inner]) > 0.1
    assert np.abs(found[inner] - expected[inner]).max() < 1e-4


@pytest.mark.parametrize("scale", [1, 2, 3, 4])
def test_agreement_is_measured_at_every_scale(scale: int):
    image = torch.rand(3, 8 * scale, 6 * scale, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(reduced(image, scale), imresize(image, size=(8, 6)), atol=1e-6)


def test_files_go_through_the_engine_with_every_option(files: dict[int, Path], tmp_path: Path):
    write_picture(replace(noise(), bit_depth=16, alpha=np.full((12, 20), 0.5, np.float32)), tmp_path / "a.png")
    settings = BatchSettings(weights=str(files[2]), device="cpu", size=TargetSize(scale=3))
    (outcome,) = upscale_files(tmp_path / "a.png", settings)
    assert isinstance(outcome, Done), outcome.error
    record = outcome.record()
    assert (record["mode"], record["n"], record["scale"], record["width"]) == ("model", 0, 3, 60)
    assert record["weights_sha256"] == sha256(files[2])
    result = read_picture(tmp_path / "a_x3.png")
    assert (result.bit_depth, result.alpha is not None) == (16, True)
    assert read_header(tmp_path / "a_x3.png").provenance.settings["weights"] == files[2].name, "no path is given away"


def test_pictures_are_cut_into_tiles_unless_the_model_must_see_them_whole(files: dict[int, Path], monkeypatch):
    from srspace.config import SamplingConfig
    from srspace.sampling import plan

    upscaler = Upscaler.load(str(files[4]), device="cpu")
    tiled = upscaler.upscale(noise(20, 104), sampling=SamplingConfig(tile=16)).picture.rgb
    assert np.abs(tiled - upscaler.upscale(noise(20, 104)).picture.rgb).max() < 1e-5
    monkeypatch.setattr(upscaler.prepared, "tiled", False)
    monkeypatch.setattr(plan, "available_memory", lambda device: 2**20)
    assert upscaler.upscale(noise(20, 104)).picture.width == 416
    whole, calls = upscaler.prepared.features, []

    def short_of_memory(lr: torch.Tensor):
        calls.append(lr.shape)
        if lr.shape[-1] > 100:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return whole(lr)

    monkeypatch.setattr(upscaler.prepared, "features", short_of_memory)
    with pytest.raises(DeviceMemoryError):
        upscaler.upscale(noise(20, 104))
    assert upscaler.upscale(noise(20, 104), sampling=SamplingConfig(tile=16)).picture.width == 416, "the user's word"


def test_modes_and_weights_go_together_or_are_refused(files: dict[int, Path], tiny: Path, tmp_path: Path):
    source = picture(tmp_path / "a.png")
    for settings, words in (
        (BatchSettings(weights=str(files[4]), mode="mean"), "which the mode model runs, not mean"),
        (BatchSettings(mode="model"), "name its file as the weights"),
        (BatchSettings(weights=str(tiny / "x4"), mode="model"), "name its file as the weights"),
        (BatchSettings(weights=str(tmp_path / "no.pth")), "does not exist"),
    ):
        with pytest.raises(UsageError, match=words):
            upscale_files(source, settings)
    flow = Upscaler(small_flow(), device="cpu")
    with pytest.raises(UsageError, match="needs a model of another project"):
        flow.upscale(noise(), mode="model")
    with pytest.raises(UsageError, match="needs a flow"):
        Upscaler.load(str(files[4]), device="cpu").upscale(noise(), mode="mean")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.png"]


class Malicious:
    """What a pickle can do to whoever opens it."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self):
        return Path.touch, (self.trace,)


@pytest.mark.parametrize("name", ["a.pth", "a.ckpt", "a.pt", "a.safetensors"])
def test_nothing_in_a_file_is_executed(tmp_path: Path, name: str):
    torch.save({"params": Malicious(tmp_path / "trace")}, tmp_path / name)
    with pytest.raises(CheckpointError, match="not a checkpoint that can be read safely"):
        load_descriptor(tmp_path / name)
    assert not (tmp_path / "trace").exists()


def test_a_script_of_torch_is_refused(tmp_path: Path):
    torch.jit.script(torch.nn.Conv2d(3, 3, 1)).save(tmp_path / "a.pt")
    with pytest.raises(CheckpointError, match="not a checkpoint that can be read safely"):
        load_descriptor(tmp_path / "a.pt")


def test_a_flow_in_a_folder_that_is_named_like_a_file_stays_a_flow(tmp_path: Path):
    save_model(tmp_path / "model.pth", small_flow())
    assert Upscaler.load(str(tmp_path / "model.pth"), device="cpu").upscale(noise()).mode == "mean"
