from __future__ import annotations

import threading

import pytest
import torch

from srspace.config import SamplingConfig
from srspace.devices import pick_device
from srspace.modes import find
from srspace.sampling import Sampler
from srspace.tf32 import exact_float32
from tests.toy import ToyModel, smooth

CUDNN, MATMUL = torch.backends.cudnn, torch.backends.cuda.matmul


@pytest.fixture(autouse=True)
def switches():
    """The switches as they were, whatever a test does."""
    allowed, precision = CUDNN.allow_tf32, torch.get_float32_matmul_precision()
    yield
    CUDNN.allow_tf32 = allowed
    torch.set_float32_matmul_precision(precision)


@pytest.mark.parametrize("allowed", [True, False])
@pytest.mark.parametrize("precision", ["highest", "high"])
def test_the_callers_switches_come_back(allowed: bool, precision: str):
    CUDNN.allow_tf32 = allowed
    torch.set_float32_matmul_precision(precision)
    with pytest.raises(KeyError), exact_float32():
        assert (CUDNN.allow_tf32, MATMUL.allow_tf32, torch.get_float32_matmul_precision()) == (False, False, "highest")
        raise KeyError
    assert (CUDNN.allow_tf32, torch.get_float32_matmul_precision()) == (allowed, precision)
    assert MATMUL.allow_tf32 == (precision == "high")


@pytest.mark.skipif(not hasattr(CUDNN, "conv"), reason="needs torch's newer names")
def test_switches_set_by_their_newer_names_come_back():
    names = (CUDNN.conv, CUDNN.rnn, MATMUL)
    before = [name.fp32_precision for name in names]
    try:
        CUDNN.conv.fp32_precision, CUDNN.rnn.fp32_precision, MATMUL.fp32_precision = "tf32", "ieee", "tf32"
        with exact_float32():
            assert CUDNN.conv.fp32_precision == MATMUL.fp32_precision == "ieee"
        assert [name.fp32_precision for name in names] == ["tf32", "ieee", "tf32"]
    finally:
        for name, precision in zip(names, before, strict=True):
            name.fp32_precision = precision


def test_the_last_of_several_threads_puts_them_back():
    CUDNN.allow_tf32 = True
    inside, leave, seen = threading.Barrier(2, timeout=30), threading.Event(), []

    def other() -> None:
        with exact_float32():
            inside.wait()
            leave.wait(30)
            seen.append(CUDNN.allow_tf32)

    thread = threading.Thread(target=other)
    with exact_float32():
        thread.start()
        inside.wait()
    assert not CUDNN.allow_tf32, "the other one is not done"
    leave.set()
    thread.join()
    assert seen == [False] and CUDNN.allow_tf32


def test_choosing_a_device_changes_nothing(monkeypatch: pytest.MonkeyPatch):
    CUDNN.allow_tf32 = True
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert pick_device("cuda:1") == torch.device("cuda", 1) and pick_device() == torch.device("cuda")
    assert CUDNN.allow_tf32


def test_a_sampler_computes_exactly_and_leaves_the_switches_alone():
    CUDNN.allow_tf32, seen = True, []
    model = ToyModel()
    model.before = lambda name: seen.append(CUDNN.allow_tf32)
    Sampler(model, smooth(8, 8), SamplingConfig()).collapse(find("mean").sink(2))
    assert seen == [False] * 4 and CUDNN.allow_tf32
