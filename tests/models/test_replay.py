"""Recordings of work on a GPU; without one, a stand-in takes the place of CUDA's graphs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from srspace import devices
from srspace.benchmark.synthetic import random_model
from srspace.config import DialConfig, FlowConfig, RRDBConfig, SamplingConfig
from srspace.images import Picture
from srspace.models import DialFusion, PreparedSRFlow, prepared, replay
from srspace.models.replay import Recorder
from srspace.upscaler import Upscaler, UpscaleResult
from tests.toy import smooth

CUDA = [torch.device("cuda", index) for index in range(torch.cuda.device_count())]
needs_gpu = pytest.mark.skipif(not CUDA, reason="needs an NVIDIA GPU")


class Graph:
    """What CUDA's graph does: reads and writes the same memory every time."""

    made = 0

    def __init__(self, work: replay.Work, inputs: Sequence[Tensor]) -> None:
        Graph.made += 1
        self.work, self.inputs = work, [tensor.clone() for tensor in inputs]

    def __call__(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        for own, given in zip(self.inputs, inputs, strict=True):
            own.copy_(given)
        return [tensor.clone() for tensor in self.work(*self.inputs)]


@pytest.fixture
def graphs(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Graph]]:
    """Recorders of the CPU record, too; none of these recordings is left to other tests."""

    def enabled(self: Recorder, device: torch.device) -> None:
        plain(self, device)
        self.enabled = True

    plain = Recorder.__init__
    monkeypatch.setattr(Recorder, "__init__", enabled)
    monkeypatch.setattr(Recorder, "serves", lambda self, pixels, bytes_a_pixel: self.enabled)
    monkeypatch.setattr(replay._Recording, "of", classmethod(lambda cls, work, inputs, device: Graph(work, inputs)))
    monkeypatch.setattr(Graph, "made", 0)
    yield Graph
    replay.forget(torch.device("cpu"))
    replay.forget(torch.device("meta"))


def doubled(x: Tensor) -> list[Tensor]:
    return [2 * x]


def values(count: int) -> Tensor:
    return torch.arange(float(count))


def test_the_third_call_with_a_shape_is_recorded_and_later_ones_are_replayed(graphs: type[Graph]):
    recorder = Recorder(torch.device("cpu"))
    for k in range(5):
        (result,) = recorder("kind", doubled, values(3) + k)
        assert result.tolist() == [2.0 * (v + k) for v in range(3)]
        assert graphs.made == (k >= 2)
    recorder("kind", doubled, values(4))
    recorder("another", doubled, values(3))
    recorder("kind", doubled, values(3).double())
    assert graphs.made == 1, "of another shape, kind or type"


def test_within_another_recording_nothing_is_recorded_or_replayed(graphs: type[Graph], monkeypatch: pytest.MonkeyPatch):
    recorder, ran = Recorder(torch.device("cpu")), []

    def work(x: Tensor) -> list[Tensor]:
        ran.append(len(x))
        return doubled(x)

    for _ in range(4):
        recorder("kind", work, values(3))
    assert graphs.made == 1
    monkeypatch.setattr(replay, "_is_recorded", lambda device: True)
    ran.clear()
    for _ in range(4):
        (result,) = recorder("another", work, values(3))
        assert result.tolist() == [0, 2, 4]
        recorder("kind", work, values(5))
        recorder("kind", work, values(3))
    assert graphs.made == 1 and len(ran) == 12


def test_shapes_that_outnumber_the_recordings_have_to_come_more_often(
    graphs: type[Graph], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(replay, "_MOST", 1)
    recorder = Recorder(torch.device("cpu"))
    for _ in range(2):
        for count in (1, 2):
            for _ in range(3):
                recorder("kind", doubled, values(count))
    assert graphs.made == 2
    for _ in range(9):
        recorder("kind", doubled, values(1))
    assert graphs.made == 3


def test_what_was_counted_of_many_shapes_is_forgotten(graphs: type[Graph], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(replay, "_MOST_SHAPES", 10)
    recorder = Recorder(torch.device("cpu"))
    for count in range(50):
        recorder("kind", doubled, values(count))
    assert len(recorder._runs) <= 11


def test_without_memory_nothing_is_kept_or_recorded(graphs: type[Graph]):
    one, other = Recorder(torch.device("cpu")), Recorder(torch.device("meta"))
    for _ in range(3):
        one("kind", doubled, values(3))
        other("kind", doubled, values(3))
    assert replay.forget(torch.device("cpu")) and not replay.forget(torch.device("cpu"))
    assert other.enabled
    for _ in range(20):
        assert one("kind", doubled, values(3))[0].tolist() == [0, 2, 4]
    assert graphs.made == 2


def test_what_cannot_be_recorded_is_done_without(
    graphs: type[Graph], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    def fail(cls, work, inputs, device):
        raise RuntimeError("operation not permitted when stream is capturing")

    monkeypatch.setattr(replay._Recording, "of", classmethod(fail))
    recorder = Recorder(torch.device("cpu"))
    for _ in range(4):
        assert recorder("kind", doubled, values(3))[0].tolist() == [0, 2, 4]
    assert caplog.text.count("not permitted") == 1


def test_a_cpu_records_nothing():
    recorder = Recorder(torch.device("cpu"))
    with torch.no_grad():
        assert not recorder.serves(100, 1)
    for _ in range(5):
        assert recorder("kind", doubled, values(3))[0].tolist() == [0, 2, 4]
    assert not recorder.forget()


def toy_upscaler(device: str = "cpu") -> Upscaler:
    torch.manual_seed(0)
    flow = FlowConfig(steps=1, hidden_channels=16, stack_blocks=(0,))
    model = random_model(RRDBConfig(nf=32, gc=32, nb=1, skip="first"), flow)
    dial = DialFusion(DialConfig(channels=8, blocks=1, features=64))
    return Upscaler(model, {"dial": dial}, device=device, precision="fp32" if device == "cpu" else "bf16")


def same(ones: Sequence[UpscaleResult], others: Sequence[UpscaleResult]) -> bool:
    return all(np.array_equal(a.picture.rgb, b.picture.rgb) for a, b in zip(ones, others, strict=True))


@pytest.mark.parametrize(("count", "images"), [(1, 1), (1, 3), (3, 1), (2, 3)])
def test_recorded_pictures_are_the_same(graphs: type[Graph], monkeypatch: pytest.MonkeyPatch, count: int, images: int):
    pictures = [Picture(smooth(20, 24, seed=k).permute(1, 2, 0).numpy()) for k in range(images)]
    sampling = SamplingConfig(samples=count, batch_size=16)
    upscaler = toy_upscaler()
    found = [upscaler.upscale_many(pictures, mode="dial", sampling=sampling, balance=0.5) for _ in range(4)]
    assert graphs.made >= 3, "features, decoding and the dial"
    monkeypatch.setattr(Recorder, "serves", lambda self, pixels, bytes_a_pixel: False)
    expected = upscaler.upscale_many(pictures, mode="dial", sampling=sampling, balance=0.5)
    assert all(same(results, expected) for results in found)


@needs_gpu
@pytest.mark.parametrize("device", CUDA[:2], ids=str)
def test_a_gpu_replays_what_it_has_recorded(device: torch.device):
    network = prepared(nn.Conv2d(3, 5, 3, padding=1), device, torch.float32)
    with torch.no_grad():
        for k in range(6):
            x = torch.full((1, 3, 8, 8), float(k), device=device)
            assert torch.equal(replay.run(network, 64, x), network(x))
    assert replay._of_networks[network]._recordings


@needs_gpu
def test_nothing_is_recorded_where_memory_is_limited_or_gradients_are_wanted():
    recorder = Recorder(CUDA[0])
    with torch.no_grad():
        assert recorder.serves(1000, 1000)
        assert not recorder.serves(1000, 2**40)
        with devices.memory_cap(CUDA[0], 2**34):
            assert not recorder.serves(1000, 1000)
    assert not recorder.serves(1000, 1000)


@needs_gpu
@pytest.mark.parametrize("images", [1, 3])
def test_a_gpu_makes_the_same_pictures_from_recordings(images: int):
    upscaler = toy_upscaler("cuda")
    pictures = [Picture(smooth(40, 44, seed=k).permute(1, 2, 0).numpy()) for k in range(images)]
    found = [upscaler.upscale_many(pictures, mode="dial", balance=0.5) for _ in range(5)]
    assert isinstance(upscaler.prepared, PreparedSRFlow) and upscaler.prepared._recorder._recordings
    assert all(same(results, found[0]) for results in found[1:])


@needs_gpu
def test_a_recording_is_not_launched_within_another():
    recorder, x = Recorder(CUDA[0]), values(3).to(CUDA[0])
    for _ in range(4):
        recorder("kind", doubled, x)
    assert recorder._recordings
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        (result,) = recorder("kind", doubled, x)
    x.fill_(5)
    graph.replay()
    assert result.tolist() == [10, 10, 10]
