from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

import srspace
from srspace import modes
from srspace.collapse import Spool, StackSink, sample
from srspace.config import SamplingConfig
from srspace.errors import DeviceMemoryError
from srspace.models import PreparedSRFlow, SRFlow
from srspace.modes import SinkMaker
from srspace.sampling import Sampler, defects, sampler
from srspace.sampling.edges import STRIP
from tests.toy import Damage, ToyModel, patch_shifted, pixel_of, smooth

MEAN = modes.find("mean")


def whole(count: int) -> SinkMaker:
    """All candidates as one stack."""
    return SinkMaker(count, lambda inputs: StackSink(count, lambda stack: stack), stacked=True)


def candidates(model: ToyModel, count: int, **settings) -> tuple[torch.Tensor, Sampler]:
    drawing = Sampler(model, smooth(24, 30), SamplingConfig(**settings))
    return drawing.collapse(whole(count)), drawing


@pytest.fixture
def lr() -> torch.Tensor:
    torch.manual_seed(1)
    return torch.nn.functional.interpolate(torch.rand(1, 3, 8, 10), size=(36, 44), mode="bicubic")[0].clamp(0, 1)


class TestCandidates:
    """What candidate i is depends on the seed and i alone."""

    pytestmark = pytest.mark.usefixtures("accept_random_weights")

    def test_candidates_do_not_depend_on_number_batch_or_tile(self, model: SRFlow, lr: torch.Tensor):
        reference = srspace.sample(model, lr, samples=5, seed=0, tile=0)
        assert not torch.allclose(reference[0], reference[1])
        for change in ({"samples": 2}, {"batch_size": 1}, {"batch_size": 3}, {"tile": 22}, {"tile": 33}):
            other = srspace.sample(model, lr, **{"samples": 5, "seed": 0, "tile": 0, **change})
            assert (other - reference[: len(other)]).abs().max() < 1 / 255, change

    def test_seed_zero_is_a_seed(self, model: SRFlow, lr: torch.Tensor):
        first, second, other = (srspace.sample(model, lr[:, :9, :9], samples=1, seed=s) for s in (0, 0, 1))
        assert torch.equal(first, second) and not torch.equal(first, other)

    def test_one_pixel_high_images_work(self, model: SRFlow):
        assert srspace.sample(model, torch.rand(3, 1, 5), samples=2).shape == (2, 3, 4, 20)

    def test_the_mean_of_tiles_is_the_mean_of_candidates(self, model: SRFlow, lr: torch.Tensor):
        prepared = PreparedSRFlow(model)
        expected = sample(prepared, lr, samples=5, tile=0).mean(0)
        for tile, batch in ((0, 2), (33, 2), (22, 5)):
            drawing = Sampler(prepared, lr, SamplingConfig(tile=tile, batch_size=batch))
            assert (drawing.collapse(MEAN.sink(5)) - expected).abs().max() < 2 / 255

    def test_sampling_in_inference_mode_leaves_nothing_behind(self, model: SRFlow, lr: torch.Tensor):
        with torch.inference_mode():
            inside = srspace.sample(model, lr, samples=2, tile=16)
        assert torch.equal(srspace.sample(model, lr, samples=2, tile=16), inside)

    def test_an_image_is_three_channels(self, model: SRFlow):
        for shape in ((1, 8, 8), (3, 8), (3, 0, 8)):
            with pytest.raises(ValueError, match="expected an image"):
                Sampler(PreparedSRFlow(model), torch.rand(shape), SamplingConfig())


class TestAntitheticLatents:
    """Candidate 2k is the independent one of the same number, candidate 2k + 1 its mirror image."""

    def test_the_mean_of_two_is_where_their_latents_cancel(self):
        stack, drawing = candidates(ToyModel(), 2, latents="antithetic")
        model = ToyModel()
        centre = model.conditions(model.features(smooth(24, 30)[None]))[0]
        assert (stack[0] - centre).abs().max() > 0.05
        assert torch.allclose(stack.mean(0), centre, atol=1e-6)
        assert torch.allclose(drawing.collapse(MEAN.sink(2)), centre, atol=1e-6)

    @pytest.mark.parametrize("count", [1, 2, 3, 6])
    def test_every_other_one_is_the_independent_one(self, count: int):
        independent, _ = candidates(ToyModel(), 6)
        paired, _ = candidates(ToyModel(), count, latents="antithetic", batch_size=2)
        assert torch.equal(paired[::2], independent[:count:2])
        assert count < 2 or not torch.allclose(paired[1], independent[1])

    def test_a_redraw_is_mirrored_as_well(self):
        both = {0: pixel_of(9.0), 1: pixel_of(9.0)}
        stack, drawing = candidates(ToyModel(both), 2, latents="antithetic")
        assert [r.attempts for r in drawing.redraws] == [1, 1]
        alone, _ = candidates(ToyModel({1: pixel_of(9.0)}), 2, latents="antithetic")
        assert torch.equal(alone[1], stack[1])
        centre = ToyModel().conditions(ToyModel().features(smooth(24, 30)[None]))[0]
        assert torch.allclose(stack.mean(0), centre, atol=1e-6)


class TestGuard:
    """A broken candidate is drawn again, then mended, then given up; and this is reported."""

    @pytest.mark.parametrize(
        ("damage", "reason"),
        [
            (pixel_of(torch.nan), "not finite"),
            (pixel_of(2.5), "out of range"),
            (pixel_of(-1.5), "out of range"),
            (patch_shifted(0.3), "away from the input"),
        ],
    )
    @pytest.mark.parametrize("batch", [1, 3])
    @pytest.mark.parametrize("tile", [0, 16])
    def test_a_broken_candidate_is_drawn_again_and_reported(self, damage: Damage, reason: str, batch: int, tile: int):
        sound, _ = candidates(ToyModel(), 3, tile=0)
        stack, drawing = candidates(ToyModel({1: damage}), 3, tile=tile, batch_size=batch)
        (redraw,) = drawing.redraws
        assert (redraw.index, redraw.attempts, redraw.temperature) == (1, 1, 0.9 * 0.75) and reason in redraw.reason
        assert torch.equal(stack[[0, 2]], sound[[0, 2]])
        assert torch.allclose(stack[1], self.centre() + 0.02 * 0.75 * 0.9 * self.latents(1, attempt=1), atol=1e-6)

    def test_a_sink_gets_nothing_of_a_broken_candidate(self):
        drawing = Sampler(ToyModel({1: pixel_of(2.5)}), smooth(24, 30), SamplingConfig())
        stack, _ = candidates(ToyModel({1: pixel_of(2.5)}), 3)
        assert torch.allclose(drawing.collapse(MEAN.sink(3)), stack.mean(0), atol=1e-6)

    def test_what_keeps_breaking_is_mended(self):
        broken: dict[int, Damage] = {n: pixel_of(torch.nan, 0, 0) for n in (1, 3, 4, 5)}
        stack, drawing = candidates(ToyModel(broken), 3)
        (redraw,) = drawing.redraws
        assert redraw.index == 1 and "damaged regions were replaced with the encoder's output" in redraw.reason
        last = self.centre() + 0.02 * 0.5 * 0.9 * self.latents(1, attempt=2)
        assert torch.allclose(stack[1, :, 40:, 40:], last[:, 40:, 40:], atol=1e-6)
        assert torch.equal(stack[1, :, :8, :8], self.centre()[:, :8, :8])

    def test_what_cannot_be_mended_is_the_encoders_output(self, monkeypatch: pytest.MonkeyPatch):
        def everywhere(image: torch.Tensor) -> None:
            image.fill_(torch.nan)

        class Untidy(ToyModel):
            def regression(self, features):
                return super().regression(features) + 0.3

        monkeypatch.setattr(defects, "mended", lambda image, expected, regression: image)
        model = Untidy(dict.fromkeys(range(20), everywhere))
        stack, drawing = candidates(model, 1)
        (redraw,) = drawing.redraws
        assert "it was replaced with the encoder's output" in redraw.reason and model.decoded == 5
        assert torch.equal(stack[0], (self.centre() + 0.3).clamp(0, 1))

    @pytest.mark.parametrize(("broken_tile", "place"), [(0, (30, 30)), (3, (70, 80))])
    def test_a_candidate_that_breaks_in_one_tile_is_replaced_in_all(self, broken_tile: int, place: tuple[int, int]):
        damage = {3 * broken_tile + 1: pixel_of(2.5, *place)}
        stack, drawing = candidates(ToyModel(damage), 3, tile=16, batch_size=3)
        assert drawing.plan is not None and len(drawing.plan.tiles) > 3
        assert [r.index for r in drawing.redraws] == [1]
        expected, _ = candidates(ToyModel({1: pixel_of(2.5)}), 3)
        assert torch.equal(stack, expected)

    @staticmethod
    def centre() -> torch.Tensor:
        model = ToyModel()
        return model.conditions(model.features(smooth(24, 30)[None]))[0]

    @staticmethod
    def latents(index: int, attempt: int) -> torch.Tensor:
        shape = [(3, 96, 120)]
        return srspace.sampling.draw_latents(shape, seed=0, index=index, temperature=1.0, attempt=attempt)[0]


class TestSinks:
    """One drawing fills several sinks."""

    def test_several_pictures_come_from_one_drawing(self):
        lr, model = smooth(24, 30), ToyModel({2: pixel_of(2.5)})
        drawing = Sampler(model, lr, SamplingConfig(batch_size=4))
        makers = [MEAN.sink(2), whole(7), MEAN.sink(5), modes.find("rrdb").sink(0), modes.find("median").sink(3)]
        two, stack, five, regression, median = drawing.collapse_all(makers)
        assert model.decoded == 7 + 1
        assert torch.allclose(two, stack[:2].mean(0), atol=1e-6)
        assert torch.allclose(five, stack[:5].mean(0), atol=1e-6)
        assert torch.equal(median, stack[:3].median(0).values)
        assert torch.equal(regression, TestGuard.centre())
        alone, _ = candidates(ToyModel({2: pixel_of(2.5)}), 7)
        assert torch.equal(stack, alone)

    @pytest.mark.parametrize("tile", [0, 16])
    def test_without_candidates_nothing_is_drawn(self, tile: int):
        calls, shares = [], []
        model = ToyModel()
        model.before = calls.append
        drawing = Sampler(model, smooth(24, 30), SamplingConfig(tile=tile), progress=shares.append)
        regression = drawing.collapse(modes.find("rrdb").sink(0))
        assert torch.equal(regression, TestGuard.centre())
        assert set(calls) == {"features", "regression"} and shares[-1] == pytest.approx(1)

    def test_a_sink_knows_its_tile_and_the_encoder_runs_once(self):
        seen, calls = [], []

        class Curious(StackSink):
            def __init__(self, inputs):
                super().__init__(2, lambda stack: inputs.regression)
                seen.append((inputs.scale, inputs.tile, inputs.lr, inputs.features))

        model = ToyModel()
        model.before = calls.append
        lr = smooth(24, 30)
        drawing = Sampler(model, lr, SamplingConfig(tile=16))
        assert torch.equal(drawing.collapse(SinkMaker(2, Curious)), TestGuard.centre())
        assert drawing.plan is not None and [s[1] for s in seen] == drawing.plan.tiles
        for scale, tile, part, features in seen:
            assert scale == 4 and torch.equal(part, tile.cut(lr)) and torch.equal(features, torch.cat((part, part)))
        assert calls.count("features") == calls.count("conditions") == calls.count("regression") == len(seen)

    def test_features_are_float32_and_those_that_the_encoder_gives(self, model: SRFlow, lr: torch.Tensor):
        seen = []

        class Dial(StackSink):
            def __init__(self, inputs):
                super().__init__(1, lambda stack: stack[0])
                seen.append(inputs.features)

        prepared = PreparedSRFlow(model, torch.float16)
        Sampler(prepared, lr, SamplingConfig(tile=0)).collapse(SinkMaker(1, Dial))
        assert seen[0].dtype == torch.float32 and seen[0].shape == (24, 36, 44)
        far = slice(8, -8)  # from the edges, beyond which the picture goes on for the sampler
        expected = model.features(lr[None]).joined[0]
        assert torch.allclose(seen[0][:, far, far], expected[:, far, far], atol=0.02)

    def test_the_share_done_grows_to_one(self):
        shares: list[float] = []
        Sampler(ToyModel(), smooth(40, 40), SamplingConfig(tile=16), progress=shares.append).collapse(MEAN.sink(3))
        assert shares == sorted(shares) and shares[-1] == pytest.approx(1) and len(shares) == 9


OUT_OF_MEMORY: list[Callable[[], Exception]] = [
    lambda: torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
    lambda: RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"),
    lambda: MemoryError("Unable to allocate 4.00 EiB"),
]


class TestMemory:
    """Where memory runs out the work begins again with smaller tiles; limits hold on every path."""

    @pytest.mark.parametrize("error", OUT_OF_MEMORY)
    @pytest.mark.parametrize("place", ["features", "conditions", "decode", "result"])
    @pytest.mark.parametrize("watched", [False, True])
    def test_pictures_are_the_same_as_without_the_failure(
        self, error: Callable[[], Exception], place: str, watched: bool
    ):
        lr = smooth(60, 70)
        undisturbed = Sampler(ToyModel(), lr, SamplingConfig()).collapse_all([MEAN.sink(4), whole(4)])
        model, failures = ToyModel(), []

        def fail(name: str) -> None:
            if name == place and len(failures) < 2:
                failures.append(name)
                raise error()

        class Failing(StackSink):
            def result(self):
                fail("result")
                return super().result()

        model.before = fail
        drawing = Sampler(model, lr, SamplingConfig(), progress=(shares := []).append)
        maker = SinkMaker(4, lambda inputs: Failing(4, lambda stack: stack), stacked=True)
        with Spool(4, 240, 280) as spool:
            mean, stack, *_ = drawing.collapse_all([MEAN.sink(4), maker, *([spool.maker] if watched else [])])
            if watched:
                assert torch.equal(torch.stack(list(spool)), undisturbed[1])
        assert len(failures) == 2 and drawing.plan is not None and len(drawing.plan.tiles) > 4
        assert torch.allclose(mean, undisturbed[0], atol=1e-6) and torch.equal(stack, undisturbed[1])
        assert shares[-1] == pytest.approx(1)

    def test_other_errors_are_not_taken_for_it(self):
        model = ToyModel()

        def fail(name: str) -> None:
            raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

        model.before = fail
        with pytest.raises(RuntimeError, match="mat1"):
            Sampler(model, smooth(24, 30), SamplingConfig()).collapse(MEAN.sink(1))

    def test_when_nothing_helps_it_says_so(self):
        model, tried = ToyModel(), []

        def fail(name: str) -> None:
            tried.append(name)
            raise MemoryError

        model.before = fail
        with pytest.raises(DeviceMemoryError, match="cpu does not have enough memory"):
            Sampler(model, smooth(60, 70), SamplingConfig(tile=0)).collapse(MEAN.sink(4))
        assert len(tried) > 3

    def test_a_real_flow_goes_on_with_smaller_tiles(
        self, model: SRFlow, monkeypatch: pytest.MonkeyPatch, accept_random_weights: None
    ):
        prepared, lr = PreparedSRFlow(model), smooth(60, 70)
        undisturbed = Sampler(prepared, lr, SamplingConfig()).collapse(MEAN.sink(2))
        conditions, tried = PreparedSRFlow.conditions, []

        def limited(self, features, **given):
            tried.append(features.last.shape[-1] * features.last.shape[-2])
            if tried[-1] > 64 * 64:
                raise torch.cuda.OutOfMemoryError("CUDA out of memory")
            return conditions(self, features, **given)

        monkeypatch.setattr(PreparedSRFlow, "conditions", limited)
        drawing = Sampler(prepared, lr, SamplingConfig())
        assert (drawing.collapse(MEAN.sink(2)) - undisturbed).abs().max() < 1 / 255
        assert tried[0] == (60 + 2 * STRIP) * (70 + 2 * STRIP) and tried[-1] <= 64 * 64

    def test_a_limit_has_freed_memory_given_back_after_each_tile(self, monkeypatch: pytest.MonkeyPatch):
        given_back: list[torch.device] = []
        monkeypatch.setattr(sampler, "give_back_freed_memory", given_back.append)
        drawing = Sampler(ToyModel(), smooth(60, 70), SamplingConfig(tile=32))
        drawing.collapse(MEAN.sink(2))
        assert not given_back, "without a limit, time counts"
        drawing = Sampler(ToyModel(), smooth(60, 70), SamplingConfig(tile=32, max_memory=64 << 30))
        drawing.collapse(MEAN.sink(2))
        assert given_back == [torch.device("cpu")] * len(drawing.plan.tiles)

    def test_the_cap_on_the_device_holds_while_it_works(self, monkeypatch: pytest.MonkeyPatch):
        inside, seen = [], []

        @contextmanager
        def cap(device, limit):
            inside.append((device.type, limit))
            yield
            inside.pop()

        monkeypatch.setattr(sampler, "memory_cap", cap)
        model = ToyModel()
        model.before = lambda name: seen.append(list(inside))
        limit = 64 << 30
        with Spool(2, 96, 120) as spool:
            for makers in ([MEAN.sink(2)], [whole(2), spool.maker], [modes.find("rrdb").sink(0)]):
                Sampler(model, smooth(24, 30), SamplingConfig(max_memory=limit)).collapse_all(makers)
        assert len(seen) == 10 and all(caps == [("cpu", limit)] for caps in seen) and inside == []

    @pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
    def test_a_gpu_keeps_no_more_than_the_limit(self, model: SRFlow, accept_random_weights: None):
        config = SamplingConfig(max_memory=1 << 30)
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        prepared = PreparedSRFlow(model, device=torch.device("cuda"))
        with Spool(5, 4000, 4000) as spool:
            Sampler(prepared, torch.rand(3, 1000, 1000), config).collapse_all([MEAN.sink(5), spool.maker])
        assert torch.cuda.max_memory_reserved() <= config.max_memory

    @pytest.mark.parametrize(("mode", "watched"), [("median", False), ("mean", True)])
    def test_the_process_stays_within_its_limit(self, mode: str, watched: bool):
        command = [sys.executable, "-c", PEAK, mode, "watched" if watched else ""]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        tiles, limit, peak = map(int, done.stdout.split())
        assert tiles > 1
        assert peak <= limit


PEAK = """
import sys, torch
from srspace import modes
from srspace.benchmark import synthetic
from srspace.collapse import Spool
from srspace.config import FlowConfig, RRDBConfig, SamplingConfig
from srspace.devices import peak_memory, used_memory
from srspace.models import PreparedSRFlow
from srspace.sampling import Sampler
torch.set_num_threads(1)
flow = FlowConfig(steps=1, hidden_channels=16, stack_blocks=(0,))
model = PreparedSRFlow(synthetic.random_model(RRDBConfig(nb=1, nf=16, gc=8), flow))
mode, watched = sys.argv[1:]
def run(side, **settings):
    sampler = Sampler(model, synthetic.grey_image(side, side), SamplingConfig(**settings))
    makers = [modes.find(mode).sink(3)]
    if watched:
        with Spool(8, 4 * side, 4 * side, limit=settings.get("max_memory")) as spool:
            sampler.collapse_all([*makers, spool.maker])
            assert sum(1 for candidate in spool if candidate.isfinite().all()) == 8
    else:
        sampler.collapse_all(makers)
    return len(sampler.plan.tiles)
run(16)
before = used_memory(torch.device("cpu"))
limit = before + (330 << 20)
tiles = run(256, max_memory=limit)
print(tiles, limit, peak_memory(torch.device("cpu")))
"""


def test_bfloat16_stays_near_float32_on_a_photograph():
    folder = Path(__file__).parents[2] / "examples"
    image, truth = (
        torch.from_numpy(srspace.read_picture(folder / f"parrot{ending}.png").rgb.transpose(2, 0, 1).copy())
        for ending in ("", "_HR")
    )
    image, truth = image[:, 20:30, 30:40], truth[:, 80:120, 120:160]
    model = srspace.load_flow(Path(__file__).parents[2] / "weights" / srspace.DEFAULT_WEIGHTS)
    exact, rounded = (
        Sampler(PreparedSRFlow(model, dtype), image, SamplingConfig()).collapse(MEAN.sink(2))
        for dtype in (torch.float32, torch.bfloat16)
    )
    assert not torch.equal(exact, rounded)
    assert ((exact - rounded).abs().amax(0) <= 2 / 255).float().mean() >= 0.999
    assert abs(psnr(exact, truth) - psnr(rounded, truth)) < 0.02


def psnr(image: torch.Tensor, truth: torch.Tensor) -> float:
    return -10 * (image - truth).square().mean().log10().item()
