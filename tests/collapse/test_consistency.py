from __future__ import annotations

import pytest
import torch

from srspace import modes
from srspace.collapse import consistency
from srspace.collapse.consistency import agreement, agreements, consistent, projected
from srspace.config import SamplingConfig
from srspace.resize import imresize
from srspace.sampling import Sampler
from tests.toy import ToyModel, smooth


def difference(image: torch.Tensor, lr: torch.Tensor) -> float:
    return 255 * (imresize(image, 0.25) - lr).abs().max().item()


@pytest.mark.parametrize("size", [(1, 1), (5, 3), (16, 24)])
def test_the_reduction_becomes_the_input(size: tuple[int, int]):
    lr = smooth(*size)
    torch.manual_seed(0)
    image = (imresize(lr, 4) + 0.1 * torch.randn(3, 4 * size[0], 4 * size[1])).clamp(0, 1)
    assert difference(image, lr) > 3
    out = projected(image, lr)
    assert difference(out, lr) < 0.5 and (out - image).abs().mean() < 0.05


def test_the_range_is_kept_where_the_input_leaves_none():
    lr = (torch.rand(3, 12, 12, generator=torch.Generator().manual_seed(0)) > 0.5).float()
    out = projected(imresize(lr, 4).clamp(0, 1), lr)
    assert out.min() >= 0 and out.max() <= 1


@pytest.mark.parametrize("height", [3, 255, 256, 257, 261, 600])
def test_agreement_is_that_of_the_whole_picture_in_bands(height: int):
    torch.manual_seed(0)
    image, lr = torch.rand(3, 4 * height, 20), torch.rand(3, height, 5)
    error = (imresize(image.double(), 0.25) - lr.double()).square().mean()
    assert agreement(image, lr, torch.device("cpu")) == pytest.approx(-10 * torch.log10(error).item(), abs=1e-4)


def test_several_agree_as_each_alone(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(consistency, "_BAND", 10)
    images, lrs = torch.rand(3, 3, 96, 48), torch.rand(3, 3, 24, 12)
    alone = [agreement(image, lr, torch.device("cpu")) for image, lr in zip(images, lrs, strict=True)]
    assert agreements(images, lrs).tolist() == pytest.approx(alone, abs=1e-6)


def test_perfect_agreement_has_an_end():
    lr = torch.full((3, 8, 8), 0.5)
    assert agreement(torch.full((3, 32, 32), 0.5), lr, torch.device("cpu")) == 100


def test_a_consistent_sink_in_tiles():
    lr, mode = smooth(60, 70), modes.find("sample")
    maker = consistent(mode.sink(1))
    whole = Sampler(ToyModel(), lr, SamplingConfig(samples=1)).collapse(maker)
    tiled = Sampler(ToyModel(), lr, SamplingConfig(samples=1, tile=20)).collapse(maker)
    plain = Sampler(ToyModel(), lr, SamplingConfig(samples=1)).collapse(mode.sink(1))
    assert difference(whole, lr) < 0.5 < difference(plain, lr)
    assert difference(tiled, lr) < 1 and (whole - tiled).abs().max() < 1 / 255


def test_where_the_device_has_no_memory_left_the_agreement_is_computed_on_the_cpu(monkeypatch: pytest.MonkeyPatch):
    image, lr = torch.rand(3, 32, 24), torch.rand(3, 8, 6)
    whole, devices = consistency.agreements, []

    def full(images: torch.Tensor, lrs: torch.Tensor, device: torch.device) -> torch.Tensor:
        devices.append(device.type)
        if device.type == "cuda":
            raise torch.OutOfMemoryError("CUDA out of memory")
        return whole(images, lrs, device)

    monkeypatch.setattr(consistency, "agreements", full)
    expected = consistency.agreement(image, lr, torch.device("cpu"))
    assert consistency.agreement(image, lr, torch.device("cuda")) == expected and devices == ["cpu", "cuda", "cpu"]
