from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import srspace
from srspace import collapse
from srspace.config import FusionConfig, SamplingConfig, parse_memory
from srspace.devices import memory_cap
from srspace.errors import ResourceError, UsageError
from srspace.models import FusionNet, PreparedSRFlow, SRFlow
from srspace.sampling import Plan, Sampler, plan_tiles, what_is_broken


@pytest.fixture
def lr() -> torch.Tensor:
    torch.manual_seed(1)
    return torch.nn.functional.interpolate(torch.rand(1, 3, 8, 10), size=(60, 70), mode="bicubic")[0].clamp(0, 1)


@pytest.fixture(autouse=True)
def accept_random_weights(monkeypatch: pytest.MonkeyPatch):
    """Random weights do not reproduce their input; only what is not finite counts as broken here."""
    monkeypatch.setattr("srspace.sampling._WORST_BLOCK", 10.0)
    monkeypatch.setattr("srspace.sampling._RANGE", (-1e6, 1e6))


def test_candidates_do_not_depend_on_number_batch_or_tile(model: SRFlow, lr: torch.Tensor):
    reference = srspace.sample(model, lr, samples=5, seed=0, tile=0)
    assert not torch.allclose(reference[0], reference[1])
    for change in ({"samples": 2}, {"batch_size": 1}, {"batch_size": 3}, {"tile": 16}, {"tile": 33}):
        other = srspace.sample(model, lr, **{"samples": 5, "seed": 0, "tile": 0, **change})
        assert (other - reference[: len(other)]).abs().max() < 1 / 255, change


def test_seed_zero_is_a_seed(model: SRFlow, lr: torch.Tensor):
    first, second, other = (srspace.sample(model, lr[:, :9, :9], samples=1, seed=s) for s in (0, 0, 1))
    assert torch.equal(first, second) and not torch.equal(first, other)


@pytest.mark.parametrize("size", [(1, 1), (1, 37), (100, 7), (64, 64)])
def test_tiles_cover_the_image_once(size: tuple[int, int]):
    covered = torch.zeros(size)
    for tile in plan_tiles(*size, 32):
        covered[tile.rows, tile.columns] += 1
    assert torch.equal(covered, torch.ones(size))


def test_one_pixel_high_images_work(model: SRFlow):
    assert srspace.sample(model, torch.rand(3, 1, 5), samples=2).shape == (2, 3, 4, 20)


def test_exploded_candidates_are_found():
    lr = torch.full((3, 8, 8), 0.5)
    good = torch.full((3, 32, 32), 0.5)
    assert what_is_broken(good, lr) is None
    broken = good.clone()
    broken[0, 3, 3] = torch.nan
    assert "finite" in str(what_is_broken(broken, lr))


class Exploding(PreparedSRFlow):
    """A prepared model whose n-th decoded candidates explode in the middle of a tile."""

    def __init__(self, model: SRFlow, broken: set[int]) -> None:
        super().__init__(model)
        self.broken, self.decoded = broken, 0

    def decode(self, latents, conditions):
        image = super().decode(latents, conditions)
        for k in range(len(image)):
            if self.decoded in self.broken:
                image[k, 0, image.shape[2] // 2] = torch.inf
            self.decoded += 1
        return image


@pytest.mark.parametrize("batch", [1, 3])
def test_an_exploded_candidate_is_drawn_again_and_reported(model: SRFlow, lr: torch.Tensor, batch: int):
    prepared = Exploding(model, {1})
    candidates = list(Sampler(prepared, lr, SamplingConfig(samples=3, tile=0, batch_size=batch)))
    assert prepared.decoded == 4
    assert [c.redraw is not None for c in candidates] == [False, True, False]
    redraw = candidates[1].redraw
    assert redraw is not None and redraw.index == 1 and redraw.temperature < 0.9 and "finite" in redraw.reason
    assert all(torch.isfinite(c.image).all() for c in candidates)


def test_an_image_without_usable_candidates_gets_the_encoders_output_and_says_so(model: SRFlow, lr: torch.Tensor):
    prepared = PreparedSRFlow(model)
    prepared.decode = lambda z, c: torch.full((len(z[0]), 3, 240, 280), torch.nan)  # type: ignore[method-assign]
    (candidate,) = Sampler(prepared, lr, SamplingConfig(samples=1, tile=0))
    assert candidate.redraw is not None and "encoder" in candidate.redraw.reason
    assert torch.allclose(candidate.image, model.encoder(lr[None])[0].clamp(0, 1), atol=1e-6)


def test_the_mean_of_tiles_is_the_mean_of_candidates(model: SRFlow, lr: torch.Tensor):
    expected = srspace.sample(model, lr, samples=5, tile=0).mean(0)
    for tile, batch in ((0, 2), (0, 5), (33, 2), (16, 5)):
        sampler = Sampler(model, lr, SamplingConfig(samples=5, tile=tile, batch_size=batch))
        assert (sampler.collapse(collapse.MeanSink) - expected).abs().max() < 2 / 255


@pytest.mark.parametrize("broken_tile", [0, 3])
def test_a_candidate_that_breaks_in_one_tile_is_replaced_in_all(model: SRFlow, lr: torch.Tensor, broken_tile: int):
    config = SamplingConfig(samples=3, tile=33, batch_size=3)
    tiles = len(Sampler(model, lr, config).tiles)
    assert tiles > 3
    sampler = Sampler(Exploding(model, {3 * broken_tile + 1}), lr, config)
    images = [c.image for c in sampler]
    (redraw,) = sampler.redraws
    assert redraw.index == 1 and redraw.attempts == 1
    # The replacement, from a sampler that draws nothing else: candidate 1 with the redraw's latents everywhere.
    whole = Sampler(model, lr, SamplingConfig(samples=3, tile=0))
    whole._stages[1], whole._reasons[1] = 1, "as above"
    for image, expected in zip(images, whole, strict=True):
        assert (image - expected.image).abs().max() < 1 / 255
    merged = Sampler(Exploding(model, {3 * broken_tile + 1}), lr, config).collapse(collapse.MeanSink)
    assert (merged - torch.stack(images).mean(0)).abs().max() < 1e-5


@pytest.mark.parametrize("setting", [{"temperature": -1}, {"samples": 0}, {"seed": -1}, {"tile": 3}, {"batch_size": 0}])
def test_settings_out_of_range_are_refused(setting: dict[str, float]):
    with pytest.raises(UsageError):
        SamplingConfig(**setting)  # type: ignore[arg-type]


def test_memory_sizes_are_read():
    assert [parse_memory(t) for t in ("4G", "512m", "1.5 GiB", "2048KB", "100")] == [
        4 << 30, 512 << 20, 3 << 29, 2 << 20, 100,
    ]  # fmt: skip
    for text in ("", "G", "4X", "-1G", "0"):
        with pytest.raises(UsageError, match="memory size"):
            parse_memory(text)


@pytest.mark.parametrize("stacked", [False, True])
def test_a_memory_limit_makes_tiles_that_fit(model: SRFlow, monkeypatch: pytest.MonkeyPatch, stacked: bool):
    monkeypatch.setattr("srspace.sampling.used_memory", lambda device: 0)
    prepared = PreparedSRFlow(model)
    conditions, transient, candidate = prepared.bytes_per_pixel()
    kept = conditions + 4 * 3 * 16 * (26 if stacked else 2)
    loose = Plan.make(prepared, 2000, 2000, SamplingConfig(samples=25, max_memory=8 << 30), stacked=stacked)
    for limit in (1500 << 20, 2 << 30):
        plan = Plan.make(prepared, 2000, 2000, SamplingConfig(samples=25, max_memory=limit), stacked=stacked)
        largest = max(tile.pixels for tile in plan.tiles)
        result = 2000 * 2000 * (4 * 3 * 16 + 12)
        assert result + largest * (kept + max(transient, plan.chunk * candidate)) <= limit
        assert len(plan.tiles) >= len(loose.tiles)
    assert len(plan.tiles) < len(
        Plan.make(prepared, 2000, 2000, SamplingConfig(max_memory=1250 << 20), stacked=stacked).tiles
    )
    with pytest.raises(ResourceError, match="too small"):
        Plan.make(prepared, 2000, 2000, SamplingConfig(max_memory=700 << 20), stacked=stacked)


def test_where_memory_runs_out_tiles_get_smaller(model: SRFlow, lr: torch.Tensor, monkeypatch: pytest.MonkeyPatch):
    config = SamplingConfig(samples=4)
    whole = Sampler(model, lr, config).collapse(collapse.MeanSink)
    conditions, tried = PreparedSRFlow.conditions, []

    def limited(self: PreparedSRFlow, part: torch.Tensor):
        tried.append(part.shape[-1] * part.shape[-2])
        if tried[-1] > most:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return conditions(self, part)

    monkeypatch.setattr(PreparedSRFlow, "conditions", limited)
    most, shares = 64 * 64, []
    sampler = Sampler(model, lr, config, progress=shares.append)
    assert (sampler.collapse(collapse.MeanSink) - whole).abs().max() < 1 / 255
    assert tried[0] == 60 * 70 and tried[-1] <= most and len(sampler.tiles) > 1
    assert shares[-1] == pytest.approx(1)
    most = 0
    with pytest.raises(torch.cuda.OutOfMemoryError):
        Sampler(model, lr, config).collapse(collapse.MeanSink)


def test_the_cap_on_a_cuda_device_is_lifted_again(monkeypatch: pytest.MonkeyPatch):
    fractions = []
    total = type("Properties", (), {"total_memory": 80 << 30})
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: total)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 3)
    monkeypatch.setattr(torch.cuda, "set_per_process_memory_fraction", lambda *given: fractions.append(given))
    for device, limit in (("cpu", 1 << 30), ("cuda", None)):
        with memory_cap(torch.device(device), limit):
            assert not fractions
    with pytest.raises(KeyError), memory_cap(torch.device("cuda"), 4 << 30):
        raise KeyError
    assert fractions == [(0.05, 3), (1.0, 3)]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
def test_a_gpu_keeps_no_more_than_the_limit(model: SRFlow):
    config = SamplingConfig(samples=5, max_memory=1 << 30)
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    Sampler(model.cuda(), torch.rand(3, 1000, 1000), config).collapse(collapse.MeanSink)
    assert torch.cuda.max_memory_reserved() <= config.max_memory


def test_sampling_in_inference_mode_leaves_nothing_behind(model: SRFlow, lr: torch.Tensor):
    with torch.inference_mode():
        inside = srspace.sample(model, lr, samples=2, tile=16)
    assert torch.equal(srspace.sample(model, lr, samples=2, tile=16), inside)


PEAK = """
import sys, torch
from srspace import collapse
from srspace.benchmark import synthetic
from srspace.config import FlowConfig, RRDBConfig, SamplingConfig
from srspace.devices import peak_memory, used_memory
from srspace.models import PreparedSRFlow
from srspace.sampling import Sampler
model = PreparedSRFlow(synthetic.random_model(RRDBConfig(nb=1), FlowConfig(steps=1, stack_blocks=(0,))))
stacked = sys.argv[1] == "median"
sink = (lambda n: collapse.StackSink(n, collapse.median_of)) if stacked else collapse.MeanSink
def run(side, **settings):
    sampler = Sampler(model, synthetic.grey_image(side, side), SamplingConfig(samples=3, **settings), stacked=stacked)
    sampler.collapse(sink)
    return len(sampler.tiles)
run(16)
before = used_memory(torch.device("cpu"))
limit = before + (450 << 20)
tiles = run(280, max_memory=limit)
print(tiles, limit, peak_memory(torch.device("cpu")))
"""


@pytest.mark.parametrize("mode", ["mean", "median"])
def test_the_process_stays_within_its_memory_limit(mode: str):
    done = subprocess.run([sys.executable, "-c", PEAK, mode], capture_output=True, text=True, check=True)
    tiles, limit, peak = map(int, done.stdout.split())
    assert tiles > 1
    assert peak <= limit


def test_mean_and_median_agree_with_numpy():
    stack = torch.rand(7, 3, 20, 11)
    assert torch.allclose(collapse.mean(iter(stack)), stack.mean(0), atol=1e-6)
    for n in range(1, 8):
        expected = np.median(stack[:n].numpy(), axis=0)
        assert np.array_equal(collapse.median(iter(stack[:n]), n).numpy(), expected)


@pytest.mark.parametrize("count", [2, 3, 10, 25, 26, 33, 64, 100])
def test_the_median_network_finds_the_middle(count: int):
    stack = torch.rand(count, 3, 9, 5).round(decimals=1)  # with ties
    assert np.array_equal(collapse.median_of(stack).numpy(), np.median(stack.numpy(), axis=0))


def test_median_spills_to_a_file_when_memory_is_short(monkeypatch):
    monkeypatch.setattr(collapse, "available_memory", lambda device: 1000)
    monkeypatch.setattr(collapse, "_STRIP_BYTES", 4 * 5 * 3 * 9 * 2)
    stack = torch.rand(5, 3, 8, 9)
    assert np.array_equal(collapse.median(iter(stack), 5).numpy(), np.median(stack.numpy(), axis=0))


def test_fusion_is_the_same_in_tiles(monkeypatch):
    torch.manual_seed(0)
    network = FusionNet(FusionConfig(samples=2, channels=8))
    torch.nn.init.normal_(network.tail.weight, std=0.1)
    stack = torch.rand(2, 3, 40, 50)
    whole = collapse.fuse(network, iter(stack), 2)
    monkeypatch.setattr(collapse, "_FUSION_TILE", 16)
    assert torch.allclose(collapse.fuse(network, iter(stack), 2), whole, atol=1e-5)
    inner = (slice(None), slice(6, -6), slice(6, -6))
    assert network.radius == 6
    assert torch.allclose(whole[inner], network(stack[None])[0].clamp(0, 1)[inner], atol=1e-5)
    mirrored = torch.nn.functional.pad(stack, (6, 6, 6, 6), mode="reflect")
    assert torch.allclose(whole, network(mirrored[None])[0].clamp(0, 1)[inner], atol=1e-5)
    assert collapse.fuse(network, iter(stack[:, :, :1, :3]), 2).shape == (3, 1, 3)
    with pytest.raises(UsageError, match="multiple"):
        collapse.fuse(network, iter(stack), 3)


@pytest.mark.parametrize("name", ["parrot", "spices"])
def test_bfloat16_stays_near_float32_on_photographs(name: str):
    folder = Path(__file__).parents[1] / "examples"
    image, truth = (
        torch.from_numpy(srspace.read_picture(folder / f"{name}{ending}.png").rgb.transpose(2, 0, 1).copy())
        for ending in ("", "_HR")
    )
    image, truth = image[:, 20:68, 20:68], truth[:, 80:272, 80:272]
    model = srspace.load_flow(Path(__file__).parents[1] / "weights" / srspace.DEFAULT_WEIGHTS)
    exact, rounded = (
        Sampler(PreparedSRFlow(model, dtype), image, SamplingConfig(samples=3)).collapse(collapse.MeanSink)
        for dtype in (torch.float32, torch.bfloat16)
    )
    assert not torch.equal(exact, rounded)
    assert ((exact - rounded).abs().amax(0) <= 2 / 255).float().mean() >= 0.999
    assert abs(psnr(exact, truth) - psnr(rounded, truth)) < 0.02


def psnr(image: torch.Tensor, truth: torch.Tensor) -> float:
    return -10 * (image - truth).square().mean().log10().item()
