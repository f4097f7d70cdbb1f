"""The GPU kernels, interpreted on the CPU: where Triton is installed, no GPU is needed."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys

import pytest
import torch

from srspace.models import kernels

SCRIPT = """
import torch
from srspace.benchmark import synthetic
from srspace.config import FlowConfig, RRDBConfig
from srspace.models import PreparedSRFlow, kernels

kernels.available = lambda device: True
kernels.WORTHWHILE = 60
torch.set_grad_enabled(False)
encoder = RRDBConfig(nf=32, gc=32, nb=2, skip="first")
model = synthetic.random_model(encoder, FlowConfig(steps=2, hidden_channels=16, stack_blocks=(0, 1)))
lr = torch.rand(1, 3, 9, 7)
latents = [torch.randn(2, *s) for s in model.flow.latent_shapes(36, 28)]
given = [z.clone() for z in latents]
exact = PreparedSRFlow(model, torch.float32)
reference, features = exact.decode(latents, exact.conditions(lr)), exact.features(lr)

prepared = PreparedSRFlow(model, torch.float16)
eager = prepared.conditions(lr)
assert not any(step.fused for level in eager for step in level), "the first image waits for nothing"
assert prepared.wait_for_kernels()
assert not any(step.fused for level in prepared.conditions(lr[..., :6]) for step in level), "small images go without"
conditions = prepared.conditions(lr)
assert all(step.fused for level in conditions for step in level)

def error(image, true):
    return ((image.float() - true).norm() / true.norm()).item()

plain, fused = prepared.features(lr), prepared.features(lr, fused=True)
for name in ("last", "stacked"):
    true = getattr(features, name)
    assert error(getattr(fused, name), true) < 1.5 * error(getattr(plain, name), true) < 3e-3, name
# The opening actnorm shrinks to grey; undo it, or every image would be right.
images = (reference, prepared.decode(latents, eager), prepared.decode(latents, conditions))
reference, eager, fused = (image - 0.5 for image in images)
assert error(fused, reference) < 1.5 * error(eager, reference) < 3e-2
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
