from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier

import numpy as np
import pytest
import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

import srspace
from srspace import modes
from srspace.collapse import spool
from srspace.config import DialConfig, FusionConfig, SamplingConfig
from srspace.errors import DeviceMemoryError, MemoryLimitError, StackSizeError, UsageError, WeightsError
from srspace.images import Picture
from srspace.models import DialFusion, FusionNet, SetFusionNet, SRFlow
from srspace.modes import Mode, Parameter, SinkMaker
from srspace.resize import imresize
from srspace.sampling import work
from srspace.upscaler import Upscaler
from tests.networks import calm_flow, small_flow
from tests.toy import ToyModel, pixel_of, smooth

LR = smooth(24, 30)
MODES = list(modes.every())


def fusion_networks(features: int = 24) -> dict[str, srspace.models.Fusion | srspace.models.DialFusion]:
    torch.manual_seed(0)
    networks = {
        "fusion-l1": FusionNet(FusionConfig(samples=2, channels=4, blocks=0)),
        "fusion-lpips": SetFusionNet(FusionConfig(samples=None, channels=4, blocks=0, embedding=4)),
        "dial": DialFusion(DialConfig(features=features, channels=4, blocks=1, embedding=4)),
    }
    for network in networks.values():
        torch.nn.init.normal_(network.tail.weight, std=0.05)
    return networks


@pytest.fixture(scope="module")
def flow_upscaler() -> Upscaler:
    return Upscaler(small_flow(), fusion_networks(), device="cpu", precision="fp32")


@pytest.fixture
def upscaler(flow_upscaler: Upscaler, monkeypatch: pytest.MonkeyPatch) -> Upscaler:
    """An upscaler whose candidates can be told beforehand."""
    monkeypatch.setattr(flow_upscaler, "prepared", ToyModel())
    toy_sized = fusion_networks(features=6)["dial"].eval().requires_grad_(False)
    monkeypatch.setattr(flow_upscaler, "fusion", {**flow_upscaler.fusion, "dial": toy_sized})
    return flow_upscaler


def collapsed(upscaler: Upscaler, mode: str | Mode, **settings) -> torch.Tensor:
    return upscaler.collapse(LR, mode=mode, sampling=SamplingConfig(samples=4, **settings))[0]


class Counted(TorchDispatchMode):
    """Counts operations that a device is asked for: not views, nor what only takes an array for a tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, operation, types, given=(), named=None):
        self.count += not operation.is_view and "lift_fresh" not in str(operation)
        return operation(*given, **(named or {}))


class Waits(TorchFunctionMode):
    """Counts what has the computer wait for a device: reading numbers, and copying what is as large as a result."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width, self.count = width, 0

    def __torch_function__(self, function, types, given=(), named=None):
        name = getattr(function, "__name__", "")
        self.count += name in ("item", "tolist", "__bool__", "__float__", "__int__")
        self.count += name == "cpu" and given[0].shape[-1] == self.width
        return function(*given, **(named or {}))


class TestWatching:
    """Candidates that are watched are those that are merged, and change nothing."""

    @pytest.mark.parametrize(("tile", "place"), [(0, "memory"), (16, "memory"), (16, "file")])
    @pytest.mark.parametrize("mode", MODES)
    def test_the_result_is_the_same_bit_for_bit(
        self, upscaler: Upscaler, mode: str, tile: int, place: str, monkeypatch: pytest.MonkeyPatch
    ):
        if place == "file":
            monkeypatch.setattr(spool, "available_memory", lambda device: 1000)
        sampling, seen = SamplingConfig(samples=4, seed=7, tile=tile), {}
        expected, _ = upscaler.collapse(LR, mode=mode, sampling=sampling)
        upscaler.prepared = ToyModel({2: pixel_of(2.5)})
        broken, redraws = upscaler.collapse(LR, mode=mode, sampling=sampling)
        upscaler.prepared = ToyModel({2: pixel_of(2.5)})
        image, again = upscaler.collapse(LR, mode=mode, sampling=sampling, on_candidate=seen.__setitem__)
        count = modes.find(mode).count(4)
        assert torch.equal(image, broken) and again == redraws
        assert list(seen) == list(range(count)) and len(redraws) == (count > 2)
        assert torch.equal(image, expected) == (count <= 2)
        if mode == "mean":
            assert torch.allclose(image, torch.stack(list(seen.values())).mean(0), atol=1e-6)

    def test_pictures_are_watched_with_the_result_finished_alike(self, upscaler: Upscaler):
        picture = srspace.Picture(
            rgb=np.repeat(LR[:1].numpy().transpose(1, 2, 0), 3, axis=2), alpha=np.ones((24, 30), np.float32), grey=True
        )
        seen: dict[int, srspace.Picture] = {}
        sampling = SamplingConfig(samples=2)
        result = upscaler.upscale(picture, mode="mean", sampling=sampling, on_candidate=seen.__setitem__)
        assert list(seen) == [0, 1]
        for image in (result.picture, *seen.values()):
            assert image.grey and image.alpha.shape == (96, 120) and (image.rgb[..., 0] == image.rgb[..., 2]).all()
        assert np.allclose(result.picture.rgb, (seen[0].rgb + seen[1].rgb) / 2, atol=1e-6)


@pytest.fixture(scope="module")
def upscalers() -> list[Upscaler]:
    return [Upscaler(calm_flow(), fusion_networks(), device="cpu", precision="fp32") for _ in range(3)]


class TestSeveralDevices:
    """A picture that is shared has the pixels of one device, bit for bit, and so have its candidates."""

    @pytest.mark.parametrize("latents", ["independent", "antithetic"])
    @pytest.mark.parametrize(("tile", "devices"), [(0, 2), (16, 3)])
    @pytest.mark.parametrize("mode", MODES)
    def test_in_every_mode(self, upscalers: list[Upscaler], mode: str, tile: int, devices: int, latents: str):
        self.compare(upscalers[:devices], mode, tile, latents)

    @pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs 2 NVIDIA GPUs")
    @pytest.mark.parametrize("precision", ["fp32", "bf16"])
    @pytest.mark.parametrize("tile", [0, 16])
    @pytest.mark.parametrize("mode", MODES)
    def test_on_two_gpus(self, mode: str, tile: int, precision: str):
        names = ("cuda:0", "cuda:1")
        gpus = [Upscaler(calm_flow(), fusion_networks(), device=name, precision=precision) for name in names]
        self.compare(gpus, mode, tile, "independent")

    @staticmethod
    def compare(upscalers: list[Upscaler], mode: str, tile: int, latents: str) -> None:
        first, *beside = upscalers
        sampling = SamplingConfig(samples=4, seed=7, tile=tile, batch_size=1, latents=latents)
        grey = 0.5 + 0.05 * (LR - LR.mean())
        found = []
        for others in ([], beside):
            seen: dict[int, torch.Tensor] = {}
            image, _ = first.collapse(
                grey, mode=mode, sampling=sampling, on_candidate=seen.__setitem__, beside=others, consistency=True
            )
            plain, redraws = first.collapse(grey, mode=mode, sampling=sampling, beside=others)
            assert list(seen) == list(range(modes.find(mode).count(4)))
            found.append(([image, plain, *seen.values()], redraws))
        (alone, replaced), (shared, again) = found
        assert all(torch.equal(a, b) for a, b in zip(alone, shared, strict=True)) and replaced == again

    def test_they_must_be_alike(self, upscalers: list[Upscaler]):
        other = Upscaler(small_flow(scale=8), device="cpu", precision="fp32")
        with pytest.raises(UsageError, match="one kind of device"):
            upscalers[0].collapse(LR, mode="rrdb", beside=[other])


@pytest.fixture(scope="module")
def gpu() -> Upscaler:
    return Upscaler(calm_flow(), fusion_networks(), device="cuda", precision="fp32")


class Filled:
    """Takes all memory of the first GPU, until it is let go."""

    def __init__(self) -> None:
        torch.cuda.synchronize()
        torch.cuda.empty_cache()
        self.held: list[torch.Tensor] = []
        size = torch.cuda.mem_get_info()[0]
        while size >= 512:
            try:
                self.held.append(torch.empty(size, dtype=torch.uint8, device="cuda"))
            except torch.cuda.OutOfMemoryError:
                size //= 2


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
class TestMemoryOfGpu:
    """A GPU whose memory is taken by others, from some place on until it runs out there."""

    SIZE = (96, 120)

    @pytest.mark.parametrize("watched", [False, True])
    @pytest.mark.parametrize("place", ["features", "conditions", "decode", "result"])
    @pytest.mark.parametrize("mode", MODES)
    def test_pixels_are_those_of_an_undisturbed_run(
        self, gpu: Upscaler, mode: str, place: str, watched: bool, monkeypatch: pytest.MonkeyPatch
    ):
        lr, failed, seen, expected = 0.5 + 0.02 * smooth(*self.SIZE), [], {}, {}
        sampling = SamplingConfig(samples=4, batch_size=2)
        undisturbed, _ = gpu.collapse(lr, mode=mode, sampling=sampling, on_candidate=expected.__setitem__)

        def short(call: Callable[..., object]) -> Callable[..., object]:
            def called(*given: object, **named: object) -> object:
                filled = Filled() if not failed else None
                try:
                    return call(*given, **named)
                except torch.cuda.OutOfMemoryError:
                    failed.append(place)
                    raise
                finally:
                    del filled

            return called

        if place == "result":
            monkeypatch.setattr(Mode, "sink", called_around(Mode.sink, short))
        else:
            monkeypatch.setattr(gpu.prepared, place, short(getattr(gpu.prepared, place)))
        image, _ = gpu.collapse(lr, mode=mode, sampling=sampling, on_candidate=seen.__setitem__ if watched else None)
        if place == "features" or (place == "decode" and modes.find(mode).draws):
            assert failed
        assert torch.allclose(image, undisturbed, atol=1e-5)
        if watched:
            assert list(seen) == list(expected)
            assert all(torch.allclose(seen[i], expected[i], atol=1e-5) for i in seen)


def called_around(sink: Callable[..., SinkMaker], around: Callable[..., Callable]) -> Callable[..., SinkMaker]:
    """``Mode.sink`` with something around each call for a result."""

    class Around:
        def __init__(self, inner) -> None:
            self.add, self.result = inner.add, around(inner.result)

    def changed(self: Mode, *given, **named) -> SinkMaker:
        maker = sink(self, *given, **named)
        return SinkMaker(maker.count, lambda inputs: Around(maker.make(inputs)), maker.stacked)

    return changed


class TestMemory:
    """In every mode, and wherever it happens, memory that runs out leads to smaller tiles and the same pixels."""

    @pytest.mark.parametrize("watched", [False, True])
    @pytest.mark.parametrize("place", ["features", "conditions", "decode", "result"])
    @pytest.mark.parametrize("mode", MODES)
    def test_pixels_are_those_of_an_undisturbed_run(
        self, upscaler: Upscaler, mode: str, place: str, watched: bool, monkeypatch: pytest.MonkeyPatch
    ):
        undisturbed, failed, seen, expected = collapsed(upscaler, mode), [], {}, {}
        upscaler.collapse(
            LR, mode=mode, sampling=SamplingConfig(samples=4), on_candidate=lambda i, x: expected.__setitem__(i, x)
        )

        def fail(name: str) -> None:
            if name == place and not failed:
                failed.append(name)
                raise torch.cuda.OutOfMemoryError("CUDA out of memory")

        def failing(result: Callable[[], torch.Tensor]) -> Callable[[], torch.Tensor]:
            return lambda: (fail("result"), result())[1]

        upscaler.prepared = ToyModel()
        upscaler.prepared.before = fail
        monkeypatch.setattr(Mode, "sink", called_around(Mode.sink, failing))
        image, _ = upscaler.collapse(
            LR, mode=mode, sampling=SamplingConfig(samples=4), on_candidate=seen.__setitem__ if watched else None
        )
        assert len(failed) == (0 if not modes.find(mode).draws and place in ("conditions", "decode") else 1)
        assert torch.allclose(image, undisturbed, atol=1e-6)
        if watched:
            assert list(seen) == list(expected) and all(torch.equal(seen[i], expected[i]) for i in seen)

    @pytest.mark.parametrize("mode", MODES)
    def test_a_limit_holds_for_every_mode(self, upscaler: Upscaler, mode: str):
        for watch in (None, lambda index, image: None):
            with pytest.raises(MemoryLimitError):
                upscaler.collapse(LR, mode=mode, sampling=SamplingConfig(max_memory=1 << 20), on_candidate=watch)

    def test_when_nothing_helps_it_says_so(self, upscaler: Upscaler):
        def fail(name: str) -> None:
            raise MemoryError

        upscaler.prepared.before = fail
        picture = srspace.Picture(rgb=LR.numpy().transpose(1, 2, 0))
        with pytest.raises(DeviceMemoryError) as caught:
            upscaler.upscale(picture)
        assert caught.value.device == "cpu"


class TestSettings:
    """What the mode decides where the user says nothing."""

    @pytest.mark.parametrize("mode", MODES)
    @pytest.mark.parametrize("wanted", [None, 4])
    def test_results_tell_what_was_used(self, upscaler: Upscaler, mode: str, wanted: int | None):
        picture = srspace.Picture(rgb=LR.numpy().transpose(1, 2, 0))
        result = upscaler.upscale(picture, mode=mode, sampling=SamplingConfig(samples=wanted, seed=3))
        expected = {"sample": 1, "rrdb": 0}.get(mode, wanted or modes.find(mode).samples)
        assert (result.mode, result.samples, result.sampling.samples) == (mode, expected, expected or None)
        assert result.sampling.latents == "independent" and result.sampling.seed == 3
        assert upscaler.prepared.decoded == expected

    def test_the_mode_sample_gives_the_first_candidate(self, upscaler: Upscaler):
        seen: dict[int, torch.Tensor] = {}
        upscaler.collapse(LR, sampling=SamplingConfig(samples=3), on_candidate=seen.__setitem__)
        assert torch.equal(upscaler.collapse(LR, mode="sample")[0], seen[0])

    def test_a_mode_can_be_an_object_that_nobody_registered(self, upscaler: Upscaler):
        paired = Mode("paired", "the mean of mirrored pairs", "srspace.collapse.mean:make", latents="antithetic")
        centre = collapsed(upscaler, "rrdb")
        assert torch.allclose(collapsed(upscaler, paired), centre, atol=1e-6)
        assert not torch.allclose(collapsed(upscaler, paired, latents="independent"), centre, atol=1e-3)
        assert torch.allclose(collapsed(upscaler, "mean", latents="antithetic"), centre, atol=1e-6)
        result = upscaler.upscale(srspace.Picture(rgb=LR.numpy().transpose(1, 2, 0)), mode=paired)
        assert (result.mode, result.sampling.latents) == ("paired", "antithetic")

    def test_wrong_settings_are_refused_before_any_work(self, upscaler: Upscaler):
        upscaler.prepared.before = lambda name: pytest.fail("worked for nothing")
        adjustable = Mode("adjustable", "", "srspace.collapse.mean:make", parameters=(Parameter("k", 1, 0, 2, ""),))
        other = Mode("other", "", "srspace.collapse.fusion:make", network="another")
        for error, mode, count, parameters in (
            (UsageError, "no-such-mode", 2, {}),
            (StackSizeError, "fusion-l1", 3, {}),
            (UsageError, "mean", 2, {"k": 1.0}),
            (UsageError, adjustable, 2, {"k": 3.0}),
            (WeightsError, other, 2, {}),
        ):
            sampling = SamplingConfig(samples=count)
            with pytest.raises(error):
                upscaler.check(mode, sampling, **parameters)
            with pytest.raises(error):
                upscaler.collapse(LR, mode=mode, sampling=sampling, **parameters)
        upscaler.check("fusion-l1", SamplingConfig(samples=4))
        upscaler.check("fusion-l1")
        upscaler.check(adjustable, k=2.0)


class TestPictures:
    """What a picture has beside its colours comes out with it."""

    @pytest.fixture
    def picture(self) -> srspace.Picture:
        return srspace.Picture(rgb=np.ascontiguousarray(LR.numpy().transpose(1, 2, 0)))

    def test_alpha_is_enlarged_as_smoothly_as_bicubic_does(self, upscaler: Upscaler, picture: srspace.Picture):
        alpha = np.tile(np.linspace(-0.2, 1.2, 30, dtype=np.float32).clip(0, 1), (24, 1))
        found = upscaler.upscale(replace(picture, alpha=alpha), mode="rrdb").picture.alpha
        assert np.allclose(found, imresize(alpha, 4).clip(0, 1), atol=1e-6)
        assert np.abs(np.diff(found, axis=1)).max() < 0.02 and found.min() == 0 and found.max() == 1

    def test_invisible_colours_take_those_beside_them(self, upscaler: Upscaler, picture: srspace.Picture):
        alpha = np.ones((24, 30), np.float32)
        alpha[:, 15:] = 0
        picture.rgb[:] = (0.2, 0.4, 0.6)
        picture.rgb[:, 15:] = 0
        found = upscaler.upscale(replace(picture, alpha=alpha), mode="rrdb").picture.rgb
        assert np.allclose(found, (0.2, 0.4, 0.6), atol=1e-5)

    def test_a_grey_picture_is_the_average_of_the_channels(self, upscaler: Upscaler, picture: srspace.Picture):
        sampling = SamplingConfig(samples=2)
        colour, grey = (
            upscaler.upscale(replace(picture, grey=grey), sampling=sampling).picture for grey in (False, True)
        )
        assert not np.allclose(colour.rgb[..., 0], colour.rgb[..., 1], atol=1e-3)
        assert np.allclose(grey.rgb, colour.rgb.mean(2, keepdims=True), atol=1e-6) and grey.rgb.shape == (96, 120, 3)


def test_the_callers_model_is_left_as_it_is(model: SRFlow, monkeypatch: pytest.MonkeyPatch):
    model.train().requires_grad_(True)
    before = {name: (p.data_ptr(), p._version) for name, p in model.named_parameters()}
    for name in ("to", "eval", "train", "cuda", "cpu"):
        monkeypatch.setattr(model, name, lambda *given: pytest.fail("the caller's model was changed"), raising=True)
    upscaler = Upscaler(model, device="cpu", precision="bf16")
    upscaler.collapse(torch.rand(3, 6, 5), sampling=SamplingConfig(samples=1))
    assert model.training and all(p.requires_grad and p.grad is None for p in model.parameters())
    assert before == {name: (p.data_ptr(), p._version) for name, p in model.named_parameters()}


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_eight_threads_get_their_own_pictures(precision: str):
    model = small_flow()
    if precision == "fp16":
        # Bright images leave float16, dark ones do not.
        model.encoder.trunk_conv.weight.mul_(1e5)
        for name, parameter in model.encoder.named_parameters():
            if name.endswith("bias"):
                parameter.zero_()
    upscaler = Upscaler(model, fusion_networks(), device="cpu", precision=precision)
    jobs = [(smooth(9 + i, 10, seed=i) * (20 if i % 2 else 1e-3), MODES[i % len(MODES)], i) for i in range(8)]

    def work(job: tuple[torch.Tensor, str, int]) -> torch.Tensor:
        lr, mode, seed = job
        return upscaler.collapse(lr, mode=mode, sampling=SamplingConfig(samples=2, seed=seed, tile=0))[0]

    expected = [work(job) for job in jobs]
    fresh = Upscaler(model, fusion_networks(), device="cpu", precision=precision)
    upscaler, start = fresh, Barrier(8, timeout=60)

    def together(job: tuple[torch.Tensor, str, int]) -> list[torch.Tensor]:
        start.wait()
        return [work(job) for _ in range(2)]

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(together, jobs))
    for images, image in zip(found, expected, strict=True):
        assert image.isfinite().all() and all(torch.equal(other, image) for other in images)
    assert len({image.double().sum().item() for image in expected}) == 8


class TestConsistency:
    """Results agree with their input where that is asked for, or where the dial's weights say that it helps."""

    @pytest.mark.parametrize("mode", MODES)
    def test_it_is_done_when_asked_for(self, upscaler: Upscaler, mode: str):
        picture = Picture(LR.permute(1, 2, 0).numpy())
        sampling = SamplingConfig(samples=4, tile=16)
        without = upscaler.upscale(picture, mode=mode, sampling=sampling)
        with_it = upscaler.upscale(picture, mode=mode, sampling=sampling, consistency=True)
        assert (without.consistency, with_it.consistency) == (False, True)
        assert without.lr_psnr is not None and with_it.lr_psnr is not None
        assert with_it.lr_psnr > max(70, without.lr_psnr)
        small = imresize(torch.from_numpy(with_it.picture.rgb).permute(2, 0, 1), 0.25)
        assert (small - LR).abs().max() < 1 / 255
        error = (small - LR).square().mean()
        assert with_it.lr_psnr == pytest.approx(min(100, -10 * torch.log10(error).item()), abs=0.1)

    def test_the_dial_s_weights_say_below_which_balance_it_helps(self, upscaler: Upscaler):
        picture = Picture(LR.permute(1, 2, 0).numpy())
        network = upscaler.fusion["dial"]
        assert isinstance(network, DialFusion)

        def consistent(balance: float, wanted: bool | None = None) -> bool:
            return upscaler.upscale(picture, mode="dial", consistency=wanted, balance=balance).consistency

        assert not consistent(0)
        network.config = replace(network.config, consistent_below=0.4)
        assert [consistent(balance) for balance in (0, 0.39, 0.4, 1)] == [True, True, False, False]
        assert not consistent(0, wanted=False) and consistent(1, wanted=True)


class TestMany:
    """Pictures of one size are worked on together; each result is what it is alone."""

    def pictures(self, count: int) -> list[Picture]:
        images = [Picture(smooth(24, 30, seed=k).permute(1, 2, 0).numpy()) for k in range(count)]
        alpha = np.linspace(0, 1, 720, dtype=np.float32).reshape(24, 30)
        return [images[0], replace(images[1], alpha=alpha), replace(images[2], grey=True), *images[3:]]

    @pytest.mark.parametrize(
        ("mode", "batch", "tile"),
        [*((mode, 3, 0) for mode in MODES), ("mean", 8, None), ("median", 8, 16), ("dial", 8, 16)],
    )
    def test_each_is_what_it_is_alone(
        self, upscaler: Upscaler, monkeypatch: pytest.MonkeyPatch, mode: str, batch: int | None, tile: int | None
    ):
        pictures = self.pictures(5)
        settings = {"mode": mode, "sampling": SamplingConfig(samples=4, seed=2, batch_size=batch, tile=tile)}
        alone = [upscaler.upscale(picture, **settings) for picture in pictures]
        shares: list[float] = []
        together = upscaler.upscale_many(pictures, progress=shares.append, **settings)
        assert len(together) == 5 and shares == sorted(shares) and shares[-1] == pytest.approx(1)
        for one, other in zip(alone, together, strict=True):
            assert np.abs(one.picture.rgb - other.picture.rgb).max() < 1e-5
            assert (one.picture.alpha is None) == (other.picture.alpha is None)
            assert replace(one, picture=None, seconds=0, lr_psnr=0) == replace(
                other, picture=None, seconds=0, lr_psnr=0
            )
            assert other.lr_psnr == pytest.approx(one.lr_psnr, abs=0.01)

    @pytest.mark.parametrize("batch", [4, 12])
    def test_a_broken_candidate_is_replaced_in_its_own_picture(self, upscaler: Upscaler, batch: int):
        pictures, sampling = self.pictures(4), SamplingConfig(samples=3, seed=2, batch_size=batch)
        sound = upscaler.upscale_many(pictures, mode="mean", sampling=sampling)
        # Of four pictures together, candidate 0 comes first of all, or all three of the first picture.
        broken = {4: 2, 12: 7}[batch]
        upscaler.prepared = ToyModel({broken: pixel_of(2.5)})
        found = upscaler.upscale_many(pictures, mode="mean", sampling=sampling)
        assert [[r.index for r in result.redraws] for result in found] == [[], [], [{4: 0, 12: 1}[batch]], []]
        for k, (one, other) in enumerate(zip(sound, found, strict=True)):
            assert np.array_equal(one.picture.rgb, other.picture.rgb) == (k != 2)

    def test_they_are_encoded_and_decoded_together(self, upscaler: Upscaler):
        calls: list[str] = []
        upscaler.prepared.before = calls.append
        sampling = SamplingConfig(samples=3, batch_size=5)
        assert upscaler.at_a_time(24, 30, mode="mean", sampling=sampling, most=5) == 5
        upscaler.upscale_many(self.pictures(5), mode="mean", sampling=sampling)
        assert (calls.count("features"), calls.count("conditions"), calls.count("decode")) == (1, 1, 3)

    @pytest.mark.parametrize("place", ["features", "conditions", "decode"])
    def test_where_memory_runs_out_fewer_are_taken_and_none_is_done_twice(self, upscaler: Upscaler, place: str):
        pictures, sampling = self.pictures(5), SamplingConfig(samples=2, batch_size=8)
        expected = upscaler.upscale_many(pictures, mode="mean", sampling=sampling)
        whole, sizes = ToyModel.features, []

        class Small(ToyModel):
            def features(self, lr):
                sizes.append(len(lr))
                return whole(self, lr)

        upscaler.prepared = Small()

        def fail(name: str) -> None:
            if name == place and sizes[-1] > 2:
                raise torch.OutOfMemoryError("CUDA out of memory")

        upscaler.prepared.before = fail
        found = upscaler.upscale_many(pictures, mode="mean", sampling=sampling)
        assert sizes == [5, 2, 2, 1]
        for one, other in zip(expected, found, strict=True):
            assert np.abs(one.picture.rgb - other.picture.rgb).max() < 1e-6

    def test_other_sizes_are_refused_and_none_is_none(self, upscaler: Upscaler):
        other = Picture(smooth(20, 30).permute(1, 2, 0).numpy())
        with pytest.raises(ValueError, match="one size"):
            upscaler.upscale_many([self.pictures(4)[0], other])
        assert upscaler.upscale_many([]) == []
        assert upscaler.at_a_time(24, 30, sampling=SamplingConfig(batch_size=1)) == 1
        assert upscaler.at_a_time(2400, 3000) == 1, "one alone keeps the device busy"

    @pytest.mark.parametrize(("mode", "each", "most"), [("rrdb", 0, 2), ("sample", 2, 4)])
    def test_a_group_asks_for_no_more_than_two_pictures_do(
        self, flow_upscaler: Upscaler, accept_random_weights: None, mode: str, each: int, most: int
    ):
        """How many operations a device is asked for, ``each`` aside, and how often it is waited for."""
        counted, waits = [], []
        for number in (2, 2, 8):  # the first pair makes what is kept
            pictures = [Picture(smooth(8, 10, seed=k).permute(1, 2, 0).numpy()) for k in range(number)]
            assert flow_upscaler.at_a_time(8, 10, mode=mode, most=number) == number
            with Counted() as operations, Waits(4 * pictures[0].width) as waiting:
                flow_upscaler.upscale_many(pictures, mode=mode)
            counted.append(operations.count)
            waits.append(waiting.count)
        assert counted[1] <= counted[2] <= counted[1] + 6 * each
        assert 0 < waits[1] == waits[2] <= most

    def test_flat_parts_are_not_looked_for_where_nothing_is_drawn(
        self, flow_upscaler: Upscaler, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setattr(work, "flat_parts", lambda *told: 1 / 0)
        assert len(flow_upscaler.upscale_many(self.pictures(3), mode="rrdb")) == 3
