"""Regression benchmarks of the sampling path: ``pytest tests/benchmarks --benchmark-enable``.

Compare two commits with ``--benchmark-save`` and ``--benchmark-compare``. Without ``--benchmark-enable`` each runs
once, untimed, so that they cannot rot.
"""

from __future__ import annotations

import pytest
import torch

from srspace import modes
from srspace.benchmark import synthetic
from srspace.config import FlowConfig, RRDBConfig, SamplingConfig
from srspace.devices import pick_device, pick_precision
from srspace.models import PreparedSRFlow, SRFlow
from srspace.sampling import Sampler, draw_latents
from tests.naive import naive_decode

SIZE = (12, 12)


@pytest.fixture(scope="module")
def model() -> SRFlow:
    return synthetic.random_model(RRDBConfig(), FlowConfig()).to(pick_device())


@pytest.fixture(scope="module")
def prepared(model: SRFlow) -> PreparedSRFlow:
    device = pick_device()
    return PreparedSRFlow(model, pick_precision("auto", device))


@pytest.mark.parametrize(("mode", "samples"), [("mean", 1), ("mean", 8), ("median", 8)])
def test_mode(benchmark, prepared: PreparedSRFlow, mode: str, samples: int):
    lr = synthetic.grey_image(*SIZE)
    maker = modes.find(mode).sink(samples)
    image = benchmark(lambda: Sampler(prepared, lr, SamplingConfig()).collapse(maker))
    assert image.shape == (3, 48, 48)


def test_conditions(benchmark, prepared: PreparedSRFlow):
    lr = synthetic.grey_image(*SIZE).to(prepared.device)[None]
    conditions = benchmark(lambda: prepared.conditions(prepared.features(lr)))
    assert len(conditions.levels) == 2


def test_preparing(benchmark, model: SRFlow):
    assert benchmark(lambda: PreparedSRFlow(model)).scale == 4


def test_latents(benchmark, prepared: PreparedSRFlow):
    shapes = prepared.latent_shapes(4 * SIZE[0], 4 * SIZE[1])
    latents = benchmark(lambda: draw_latents(shapes, seed=0, index=0, temperature=0.9))
    assert [tuple(z.shape) for z in latents] == shapes


def test_naive(benchmark, model: SRFlow):
    lr = synthetic.grey_image(*SIZE)
    latents = draw_latents(model.flow.latent_shapes(48, 48), seed=0, index=0, temperature=0.9)
    device = pick_device()
    arguments = (lr.to(device)[None], [z.to(device)[None] for z in latents])
    with torch.no_grad():
        assert benchmark(lambda: naive_decode(model, *arguments)).shape == (1, 3, 48, 48)
