from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

import srspace
from srspace.auto import AutoUpscaler
from srspace.config import SamplingConfig
from srspace.errors import NoFusionError, UsageError, WeightsError
from srspace.families import CLEAN, REAL
from srspace.images import Picture
from srspace.upscaler import Upscaler
from tests.catalogue import write_catalogue

SETTINGS = SamplingConfig(samples=1, seed=3)


def smooth(height: int = 12, width: int = 10) -> Picture:
    ramp = np.linspace(0.3, 0.6, height * width, dtype=np.float32).reshape(height, width, 1)
    return Picture(np.repeat(ramp, 3, 2))


def noisy(height: int = 12, width: int = 10) -> Picture:
    return Picture(np.random.default_rng(0).random((height, width, 3), np.float32))


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Weights in the order in which they are loaded."""
    seen: list[str] = []
    load = Upscaler.load.__func__

    def watched(cls, weights, **options):
        seen.append(weights)
        return load(cls, weights, **options)

    monkeypatch.setattr(Upscaler, "load", classmethod(watched))
    return seen


def test_every_picture_gets_the_family_that_suits_it(catalogue: Path, loads: list[str]):
    upscaler = AutoUpscaler(modes=["dial"], device="cpu")
    assert loads == [] and upscaler.scale == 4 and upscaler.device.type == "cpu"
    results = [upscaler.upscale(p, mode="dial", sampling=SETTINGS, balance=0.5) for p in (smooth(), smooth(), noisy())]
    assert [r.weights for r in results] == [CLEAN.weights, CLEAN.weights, REAL.weights]
    assert loads == [CLEAN.weights, REAL.weights], "each is loaded once, and when it is needed"
    assert [bool(r.assessment.reasons) for r in results] == [False, False, True]
    assert results[0].assessment.score < 0.5 <= results[2].assessment.score
    for result, picture in ((results[0], smooth()), (results[2], noisy())):
        named = Upscaler.load(result.weights, modes=["dial"], device="cpu")
        plain = named.upscale(picture, mode="dial", sampling=SETTINGS, balance=0.5)
        assert np.array_equal(result.picture.rgb, plain.picture.rgb)
        assert plain.weights is None and plain.assessment is None


def test_several_devices_share_a_picture_with_the_family_that_suits_it(catalogue: Path, loads: list[str]):
    first, second = (AutoUpscaler(modes=["mean"], device="cpu") for _ in range(2))
    sampling = SamplingConfig(samples=3, batch_size=1)
    alone = first.upscale(noisy(), mode="mean", sampling=sampling)
    shared = first.upscale(noisy(), mode="mean", sampling=sampling, beside=[second])
    assert loads == [REAL.weights] * 2 and np.array_equal(alone.picture.rgb, shared.picture.rgb)


def test_a_family_without_the_modes_network_is_not_chosen(catalogue: Path, loads: list[str]):
    upscaler = AutoUpscaler(modes=["fusion-l1", "rrdb"], device="cpu")
    choice = upscaler.choose(noisy(), mode="fusion-l1")
    assert (choice.weights, choice.fusion, choice.assessment.family) == (
        CLEAN.weights, "fusion-l1-x4-lite", REAL.weights,
    )  # fmt: skip
    assert upscaler.choose(noisy(), mode="rrdb").weights == REAL.weights
    assert upscaler.upscale(noisy(), mode="fusion-l1", sampling=SETTINGS).weights == CLEAN.weights
    assert upscaler.upscale(noisy(), mode="rrdb").weights == REAL.weights
    assert loads == [CLEAN.weights, REAL.weights]


def test_mistakes_are_told_before_any_work(catalogue: Path, loads: list[str]):
    with pytest.raises(NoFusionError):
        AutoUpscaler(modes=["fusion-lpips"])
    with pytest.raises(UsageError, match="abacus"):
        AutoUpscaler(device="abacus")
    with pytest.raises(UsageError, match="precision"):
        AutoUpscaler(precision="fp1")
    upscaler = AutoUpscaler(modes=["rrdb"], device="cpu")
    with pytest.raises(UsageError, match="the mode median was not named"):
        upscaler.choose(smooth(), mode="median")
    with pytest.raises(UsageError, match="balance"):
        upscaler.check("rrdb", balance=0.5)
    upscaler.check("rrdb")
    assert loads == []


@pytest.mark.parametrize("missing", ["assessor", REAL.weights, "dial-x4-real-lite"])
def test_weights_that_are_not_there_are_told_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str):
    from tests.conftest import replaced_catalogue

    for _ in replaced_catalogue(write_catalogue(tmp_path), monkeypatch):
        (tmp_path / missing / "model.safetensors").unlink()
        with pytest.raises(WeightsError, match=missing):
            AutoUpscaler(modes=["dial"], device="cpu")
        (tmp_path / missing / "model.safetensors").write_bytes(b"no tensors")
        with pytest.raises(WeightsError, match="bytes instead of"):
            AutoUpscaler(modes=["dial"], device="cpu").upscale(noisy(), mode="dial", sampling=SETTINGS)


def test_with_one_family_pictures_are_not_assessed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from tests.conftest import replaced_catalogue

    for root in replaced_catalogue(write_catalogue(tmp_path, real=False), monkeypatch):
        (root / "assessor" / "model.safetensors").unlink()
        result = AutoUpscaler(modes=["rrdb"], device="cpu").upscale(noisy(), mode="rrdb")
        assert result.weights == CLEAN.weights and result.assessment is None


def test_several_threads_load_a_family_once(catalogue: Path, loads: list[str]):
    upscaler = AutoUpscaler(modes=["rrdb"], device="cpu")
    results: list[bytes] = []
    threads = [
        threading.Thread(target=lambda: results.append(upscaler.upscale(noisy(), mode="rrdb").picture.rgb.tobytes()))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 4 and len(set(results)) == 1 and loads == [REAL.weights]


def test_it_is_reachable_from_the_top():
    assert srspace.AutoUpscaler is AutoUpscaler
    from srspace.assessment import Assessment, assess

    assert srspace.assess is assess and srspace.Assessment is Assessment
