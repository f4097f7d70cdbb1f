"""Several devices work on one picture; nothing but the time tells."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext

import pytest
import torch
from torch import Tensor

from srspace import modes
from srspace.collapse import Spool, StackSink
from srspace.config import SamplingConfig
from srspace.models import PreparedSRFlow
from srspace.modes import SinkMaker
from srspace.sampling import GroupSampler, Sampler, Station
from srspace.sampling.side_by_side import in_order
from tests.networks import calm_flow
from tests.toy import ToyModel, smooth

LIMIT = 20.0
MEAN = modes.find("mean")
LR = smooth(40, 50)


def threads_left() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("srspace-side")]


class TestInOrder:
    def test_results_come_in_the_order_of_the_items_whoever_is_first(self):
        later = threading.Event()

        def slow(item: int) -> int:
            assert later.wait(LIMIT)
            return item

        def fast(item: int) -> int:
            later.set()
            return -item

        with in_order([slow, fast], range(1, 6)) as results:
            assert list(results) == [1, -2, 3, -4, 5]
        assert not threads_left()

    def test_no_more_wait_than_there_are_workers(self):
        asked: list[int] = []

        def items():
            for item in range(9):
                asked.append(item)
                yield item

        with in_order([str] * 3, items()) as results:
            for taken, _ in enumerate(results):
                assert len(asked) <= taken + 3
        assert len(asked) == 9

    def test_one_worker_works_here(self):
        with in_order([lambda item: threading.current_thread()], range(3)) as results:
            assert set(results) == {threading.current_thread()}

    def test_who_gives_up_tells_the_workers_and_waits_for_them(self):
        over, ended = threading.Event(), []

        def until_over(item: int) -> None:
            assert over.wait(LIMIT)
            ended.append(item)

        def fails(item: int) -> None:
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError), in_order([fails, until_over], range(4), over) as results:
            list(results)
        assert ended == [1] and not threads_left()


class Fragile(ToyModel):
    """Breaks candidates by what their latents are: the same ones in every order, and on every device."""

    limit = 4.2

    def decode(self, latents: Sequence[Tensor], conditions: Tensor) -> Tensor:
        images = super().decode(latents, conditions)
        images[latents[0].abs().flatten(1).amax(1) > self.limit] *= 9
        return images


class Ordered(StackSink):
    """Tells in which order it was given its candidates."""

    def __init__(self, count: int, order: list[int]) -> None:
        super().__init__(count, lambda stack: stack[0])
        self.order = order

    def add(self, indices: Sequence[int], images: Tensor) -> None:
        self.order += indices
        super().add(indices, images)


def stations(models: Sequence[ToyModel], makers: Sequence[SinkMaker]) -> list[Station]:
    return [Station(model, makers) for model in models]


class TestSeveralDevices:
    def test_they_share_the_candidates_of_a_tile_which_are_taken_in_order(self):
        """The first device is the slower one: it waits until the second has drawn."""
        first, second, drawn = ToyModel(), ToyModel(), threading.Event()
        first.before = lambda name: name == "decode" and (drawn.wait(LIMIT) or pytest.fail("the second draws nothing"))
        second.before = lambda name: name == "decode" and drawn.set()
        order: list[int] = []
        makers = [MEAN.sink(7), SinkMaker(7, lambda inputs: Ordered(7, order), stacked=True)]
        drawing = Sampler(first, LR, SamplingConfig(batch_size=1))
        mean, _ = drawing.collapse_all(makers, stations([second], makers))
        assert (first.decoded, second.decoded) == (4, 3)
        assert order == list(range(7))
        assert torch.equal(mean, Sampler(ToyModel(), LR, SamplingConfig(batch_size=1)).collapse(MEAN.sink(7)))

    @pytest.mark.parametrize("mode", ["sample", "rrdb"])
    def test_they_share_the_tiles(self, mode: str):
        models = [ToyModel(), ToyModel()]
        seen: list[list[str]] = [[], []]
        for model, calls in zip(models, seen, strict=True):
            model.before = calls.append
        maker = modes.find(mode).sink(1 if mode == "sample" else 0)
        drawing = Sampler(models[0], LR, SamplingConfig(tile=16))
        (image,) = drawing.collapse_all([maker], stations(models[1:], [maker]))
        tiles = len(drawing.plan.tiles)
        assert [calls.count("features") for calls in seen] == [tiles - tiles // 2, tiles // 2]
        assert torch.equal(image, Sampler(ToyModel(), LR, SamplingConfig(tile=16)).collapse(maker))

    @pytest.mark.parametrize("latents", ["independent", "antithetic"])
    @pytest.mark.parametrize("limit", [9.0, 4.0, 3.9, 2.6])
    @pytest.mark.parametrize(("tile", "devices"), [(0, 2), (16, 2), (25, 3), (16, 5), (30, 7)])
    def test_what_breaks_is_replaced_as_on_one_device(
        self, latents: str, limit: float, tile: int, devices: int, monkeypatch: pytest.MonkeyPatch
    ):
        """In tiles that are filled at the same time other candidates break; sums depend on the order, too."""
        monkeypatch.setattr(Fragile, "limit", limit)
        config = SamplingConfig(tile=tile, batch_size=2, latents=latents)
        found = []
        for count in (1, devices):
            models = [Fragile() for _ in range(count)]
            drawing = Sampler(models[0], LR, config)
            with Spool(5, 160, 200) as spool:
                makers = [MEAN.sink(5), modes.find("median").sink(4), spool.maker]
                mean, median, _ = drawing.collapse_all(makers, stations(models[1:], makers))
                found.append((drawing.redraws, mean, median, torch.stack(list(spool))))
        (expected, *images), (redraws, *others) = found
        assert redraws == expected and bool(redraws) == (limit < 9)
        assert all(torch.equal(a, b) for a, b in zip(images, others, strict=True))
        assert not threads_left()

    @pytest.mark.parametrize("place", ["features", "conditions", "decode"])
    @pytest.mark.parametrize("tile", [0, 16])
    @pytest.mark.parametrize("short", [0, 1])
    def test_where_one_runs_out_of_memory_the_first_goes_on_alone(self, place: str, tile: int, short: int):
        models, failures = [ToyModel(), ToyModel()], []

        def fail(name: str) -> None:
            if name == place and not failures:
                failures.append(name)
                raise torch.cuda.OutOfMemoryError("CUDA out of memory")

        models[short].before = fail
        drawing = Sampler(models[0], LR, SamplingConfig(tile=tile, batch_size=1))
        (image,) = drawing.collapse_all([MEAN.sink(4)], stations(models[1:], [MEAN.sink(4)]))
        alone = Sampler(ToyModel(), LR, SamplingConfig(tile=tile, batch_size=1))
        assert torch.equal(image, alone.collapse(MEAN.sink(4)))
        assert failures and drawing.plan == alone.plan and not threads_left()

    @pytest.mark.parametrize("tile", [0, 16])
    def test_an_interruption_is_noticed_by_all(self, tile: int):
        models = [ToyModel(), ToyModel()]

        def interrupted(share: float) -> None:
            raise KeyboardInterrupt

        drawing = Sampler(models[0], LR, SamplingConfig(tile=tile, batch_size=1), progress=interrupted)
        with pytest.raises(KeyboardInterrupt):
            drawing.collapse_all([MEAN.sink(50)], stations(models[1:], [MEAN.sink(50)]))
        assert max(model.decoded for model in models) < 5 and not threads_left()

    def test_whoever_is_not_waited_for_gives_up(self):
        """The first device fails in its tile while the second is at the beginning of a long one."""
        models, begun = [ToyModel(), ToyModel()], threading.Event()

        def fail(name: str) -> None:
            assert begun.wait(LIMIT)
            raise ZeroDivisionError

        def begin(name: str) -> None:
            begun.set()
            time.sleep(0.02)

        models[0].before, models[1].before = fail, begin
        drawing = Sampler(models[0], LR, SamplingConfig(tile=16, batch_size=1))
        with pytest.raises(ZeroDivisionError):
            drawing.collapse_all([MEAN.sink(200)], stations(models[1:], [MEAN.sink(200)]))
        assert models[1].decoded < 100 and not threads_left()

    @pytest.mark.parametrize("tile", [0, 16])
    def test_the_share_done_grows_to_one(self, tile: int):
        shares: list[float] = []
        models = [ToyModel(), ToyModel()]
        drawing = Sampler(models[0], LR, SamplingConfig(tile=tile, batch_size=1), progress=shares.append)
        drawing.collapse_all([MEAN.sink(4)], stations(models[1:], [MEAN.sink(4)]))
        assert shares == sorted(shares) and shares[-1] == pytest.approx(1)

    def test_limits_hold_on_each(self, monkeypatch: pytest.MonkeyPatch):
        capped: list[tuple[torch.device, int | None]] = []
        models = [ToyModel(), ToyModel()]
        models[1].device = torch.device("cpu", 0)

        def cap(device: torch.device, limit: int | None):
            capped.append((device, limit))
            return nullcontext()

        monkeypatch.setattr("srspace.sampling.sampler.memory_cap", cap)
        drawing = Sampler(models[0], LR, SamplingConfig(max_memory=64 << 30))
        drawing.collapse_all([MEAN.sink(2)], stations(models[1:], [MEAN.sink(2)]))
        assert capped == [(torch.device("cpu"), 64 << 30), (torch.device("cpu", 0), 64 << 30)]

    def test_images_that_are_sampled_together_may_be_shared_too(self):
        lrs = [smooth(20, 24, seed=seed) for seed in range(3)]
        config = SamplingConfig(batch_size=6)
        (alone, shared) = (
            GroupSampler(ToyModel(), lrs, config).collapse_all([MEAN.sink(5)], others)
            for others in ([], stations([ToyModel()], [MEAN.sink(5)]))
        )
        assert all(torch.equal(a, b) for (a,), (b,) in zip(alone, shared, strict=True))


@pytest.mark.parametrize("devices", [["cuda:0", "cuda:0"], ["cuda:0", "cuda:1"]])
@pytest.mark.parametrize("tile", [0, 32])
def test_gpus_make_the_pixels_of_one(devices: list[str], tile: int):
    needed = len(set(devices))
    if torch.cuda.device_count() < needed:
        pytest.skip(f"needs {needed} NVIDIA GPUs")
    models = [PreparedSRFlow(calm_flow(), torch.float32, torch.device(name)) for name in devices]
    decoded: list[int] = []
    for k, model in enumerate(models):
        model.decode = told(model.decode, decoded, k)
    lr, config = 0.5 + 0.05 * (smooth(90, 100) - 0.5), SamplingConfig(tile=tile, batch_size=1)
    alone = Sampler(models[0], lr, config).collapse(MEAN.sink(4))
    decoded.clear()
    (shared,) = Sampler(models[0], lr, config).collapse_all([MEAN.sink(4)], stations(models[1:], [MEAN.sink(4)]))
    assert torch.equal(alone, shared) and decoded.count(0) == decoded.count(1)


def told(whole: Callable[..., Tensor], calls: list[int], name: int) -> Callable[..., Tensor]:
    def call(*given: object) -> Tensor:
        calls.append(name)
        return whole(*given)

    return call
