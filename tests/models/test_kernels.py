"""The GPU kernels, interpreted on the CPU: where Triton is installed, no GPU is needed."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys

import pytest
import torch

from srspace.benchmark.synthetic import random_model
from srspace.config import FlowConfig, RRDBConfig
from srspace.models import PreparedSRFlow, kernels

SCRIPT = """
import torch
from srspace.benchmark import synthetic
from srspace.config import FlowConfig, RRDBConfig
from srspace.models import PreparedSRFlow, kernels

kernels.available = lambda device: True
kernels.WORTHWHILE = 20
torch.set_grad_enabled(False)
encoder = RRDBConfig(nf=32, gc=32, nb=1, skip="first")
model = synthetic.random_model(encoder, FlowConfig(steps=1, hidden_channels=16, stack_blocks=(0,)))
lr = torch.rand(1, 3, 5, 4)
latents = [torch.randn(2, *s) for s in model.flow.latent_shapes(20, 16)]
given = [z.clone() for z in latents]
exact = PreparedSRFlow(model, torch.float32)
features = exact.features(lr)
reference = exact.decode(latents, exact.conditions(features))

def fused(conditions):
    return {step.fused for level in conditions.levels for step in level}

prepared = PreparedSRFlow(model, torch.float16)
plain = prepared.features(lr)
eager = prepared.conditions(plain)
assert fused(eager) == {False}, "the first image waits for nothing"
assert prepared.wait_for_kernels()
assert fused(prepared.conditions(prepared.features(lr[..., :3]))) == {False}, "small images go without"
assert fused(prepared.conditions(prepared.features(lr.expand(2, -1, -1, -1)))) == {False}, "so do several at once"
quick = prepared.features(lr)
conditions = prepared.conditions(quick)
assert fused(conditions) == {True}

def error(image, true):
    return ((image.float() - true).norm() / true.norm()).item()

for name in ("last", "stacked"):
    true = getattr(features, name)
    assert error(getattr(quick, name), true) < 1.5 * error(getattr(plain, name), true) < 3e-3, name
# The opening actnorm shrinks to grey; undo it, or every image would be right.
images = (reference, prepared.decode(latents, eager), prepared.decode(latents, conditions))
reference, eager, fast = (image - 0.5 for image in images)
assert error(fast, reference) < 1.5 * error(eager, reference) < 3e-2
assert all(torch.equal(a, b) for a, b in zip(latents, given))
"""


@pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="needs Triton")
def test_kernels_equal_the_eager_path_when_interpreted():
    environment = os.environ | {"TRITON_INTERPRET": "1"}
    done = subprocess.run([sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_kernel_that_does_not_compile_is_done_without(caplog: pytest.LogCaptureFixture):
    def steps():
        yield
        raise RuntimeError("no such instruction")

    warm_up = kernels.WarmUp(torch.device("cpu"), steps)
    assert not warm_up.wait()
    assert "no such instruction" in caplog.text


def test_compiling_is_cut_short_at_exit():
    ran = []

    def steps():
        for i in range(10**9):
            ran.append(i)
            yield

    warm_up = kernels.WarmUp(torch.device("cpu"), steps)
    warm_up.stop()
    assert not warm_up.done and len(ran) < 10**9


@pytest.mark.parametrize("index", [0, 1])
def test_kernels_equal_the_eager_path(index: int, monkeypatch: pytest.MonkeyPatch):
    if torch.cuda.device_count() <= index:
        pytest.skip(f"needs {index + 1} NVIDIA GPUs")
    monkeypatch.setattr(kernels, "WORTHWHILE", 0)
    device = torch.device("cuda", index)
    model = random_model(RRDBConfig(nb=2), FlowConfig(steps=2, stack_blocks=(0, 1)))
    prepared = PreparedSRFlow(model, torch.bfloat16, device)
    lr = torch.rand(1, 3, 13, 11, device=device)
    latents = [torch.randn(3, *s, device=device) for s in model.flow.latent_shapes(52, 44)]
    if not prepared.wait_for_kernels():
        pytest.skip("Triton is not here")
    features = prepared.features(lr)
    conditions = prepared.conditions(features)
    assert all(step.fused for level in conditions.levels for step in level)
    fused = prepared.decode(latents, conditions)
    monkeypatch.setattr(kernels, "WORTHWHILE", 10**9)
    eager = prepared.features(lr)
    assert (features.last - eager.last).abs().max() < 0.01 * eager.last.abs().max()
    assert (features.stacked - eager.stacked).abs().max() < 0.01 * eager.stacked.abs().max()
    conditions = prepared.conditions(eager)
    assert not any(step.fused for level in conditions.levels for step in level)
    # The opening actnorm shrinks by exp(5), so the bound is a tenth of a unit of the flow's state.
    assert (prepared.decode(latents, conditions) - fused).abs().max() < 1e-3


def test_every_launch_is_on_the_device_of_its_tensors(monkeypatch: pytest.MonkeyPatch):
    """Triton launches on the current device; here a stand-in tells which one that would be."""
    current, launched = [], []

    class Device:
        def __init__(self, tensor: torch.Tensor) -> None:
            self.tensor = tensor

        def __enter__(self) -> None:
            current.append(self.tensor)

        def __exit__(self, *error: object) -> None:
            current.pop()

    class Programs:
        def __getattr__(self, name: str):
            return Launches(name)

    class Launches:
        def __init__(self, name: str) -> None:
            self.name = name

        def __getitem__(self, grid: tuple[int, ...]):
            return lambda first, *rest, **sizes: launched.append((self.name, current[-1] is not None))

    monkeypatch.setattr(kernels, "programs", Programs())
    monkeypatch.setattr(torch.cuda, "device_of", Device)
    wide = torch.zeros(1, 16, 8, 8)
    state, taps = torch.zeros(2, 12, 8, 8), torch.zeros(9, 16, 32)
    kernels.first_layer(state, torch.zeros(64, 16), wide)
    kernels.last_layer(wide, state, taps, wide, wide, wide, torch.zeros(2, 16, 16), kept=6, eps=1e-4, out=state)
    kernels.dense_layer(wide, taps, wide, wide)
    assert launched == [("first_layer", True), ("last_layer", True), ("dense_layer", True)] and current == []
