from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch

from srspace.benchmark import speed
from srspace.benchmark.speed import SpeedSettings, matrix_peak, measure
from srspace.benchmark.synthetic import random_model
from srspace.config import FlowConfig, RRDBConfig, SamplingConfig
from srspace.errors import UsageError, WeightsError
from srspace.upscaler import Upscaler
from tests.benchmark.common import known_peak

SMALL = SpeedSettings(12, 10, samples=3, repeats=1)


@pytest.fixture(scope="module")
def upscaler() -> Upscaler:
    sizes = RRDBConfig(nf=8, gc=4, nb=3), FlowConfig(steps=2, hidden_channels=8, stack_blocks=(0, 2))
    return Upscaler(random_model(*sizes), device="cpu", precision="fp32")


@pytest.fixture(autouse=True)
def peak(monkeypatch: pytest.MonkeyPatch) -> None:
    """No time goes into large products of matrices."""
    monkeypatch.setattr(speed, "matrix_peak", known_peak)


def test_a_report_adds_up(upscaler: Upscaler):
    said: list[str] = []
    report = measure(upscaler, SMALL, name="small", report=said.append)
    values = report.to_dict()
    assert (report.height, report.width, report.redraws, report.precision) == (48, 40, 0, "fp32")
    assert values["operations_per_run"] == report.operations.total(3)
    assert values["candidates_per_second"] == pytest.approx(3 / report.seconds)
    assert values["ratio_to_single"] == pytest.approx(report.seconds / report.single)
    assert report.peak == known_peak(upscaler.device, torch.float32)
    assert values["share_of_peak"] == pytest.approx(2 * report.operations.total(3) / report.seconds / report.peak)
    assert report.memory > 1e6 and len(said) == 4
    json.dumps(values)


def test_it_is_the_mode_s_path_that_is_timed(upscaler: Upscaler, monkeypatch: pytest.MonkeyPatch):
    counts = []
    decode = type(upscaler.prepared).decode

    def counting(self, latents, conditions):
        counts.append(len(latents[0]))
        return decode(self, latents, conditions)

    monkeypatch.setattr(type(upscaler.prepared), "decode", counting)
    tiled = replace(SMALL, mode="median", sampling=SamplingConfig(tile=16, batch_size=2), width=20)
    report = measure(upscaler, tiled, name="small")
    # Three runs of 3 candidates and two of one, in two tiles each.
    assert (report.mode, report.tiles, report.chunk) == ("median", 2, 2) and sum(counts) == 2 * (3 * 3 + 2 * 1)
    counts.clear()
    assert measure(upscaler, replace(SMALL, mode="rrdb"), name="small").samples == 0 and not counts


def test_settings_that_do_not_go_together_are_refused(upscaler: Upscaler):
    with pytest.raises(UsageError):
        measure(upscaler, replace(SMALL, mode="average"), name="small")
    with pytest.raises(WeightsError):
        measure(upscaler, replace(SMALL, mode="fusion-l1"), name="small")


def test_the_peak_is_that_of_a_product_of_matrices():
    assert 1e8 < matrix_peak(torch.device("cpu"), torch.float32) < 1e14
