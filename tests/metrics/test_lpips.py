from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from srspace.errors import MetricUnavailableError
from srspace.metrics import Lpips
from tests.metrics.images import pair


@pytest.fixture(params=["alex", "squeeze"])
def distance(request) -> Lpips:
    try:
        return Lpips(request.param)
    except MetricUnavailableError:
        pytest.skip("no LPIPS backbone in TORCH_HOME")


def test_lpips_from_kept_features_equals_the_package_to_the_last_bit(distance: Lpips):
    import lpips

    a, b = pair(64, 80)
    features = distance.features(a), distance.features(b)
    package = lpips.LPIPS(net=distance.net, verbose=False)
    spatial = lpips.LPIPS(net=distance.net, verbose=False, spatial=True)
    assert torch.equal(distance.distance(*features), package(a * 2 - 1, b * 2 - 1).flatten())
    assert torch.equal(distance.distance_map(*features, (64, 80)), spatial(a * 2 - 1, b * 2 - 1))


def test_lpips_of_the_published_example_pair():
    """The images of the LPIPS repository are not in its wheel; name the folder to check its published figures."""
    folder = os.environ.get("SRSPACE_LPIPS_EXAMPLES")
    if not folder:
        pytest.skip("SRSPACE_LPIPS_EXAMPLES does not name the imgs folder of the LPIPS repository")

    def load(name: str) -> torch.Tensor:
        return torch.from_numpy(np.asarray(Image.open(Path(folder) / name).convert("RGB"))).permute(2, 0, 1)[None] / 255

    distance = Lpips("alex")
    scores = [distance(load("ex_ref.png"), load(name)).item() for name in ("ex_p0.png", "ex_p1.png")]
    assert scores == pytest.approx([0.722, 0.138], abs=5e-4)


def test_lpips_equals_the_package_and_its_loss_has_finite_gradients(distance: Lpips):
    import lpips

    a, b = pair(64, 64)
    package = lpips.LPIPS(net=distance.net, verbose=False)
    assert torch.equal(distance(a, b), package(a * 2 - 1, b * 2 - 1).flatten())
    assert torch.allclose(distance.loss(a, b), distance(a, b), atol=1e-4)
    for image in (torch.zeros(1, 3, 64, 64), a[:1]):
        sr = image.clone().requires_grad_()
        distance.loss(sr, image).sum().backward()
        assert sr.grad is not None and torch.isfinite(sr.grad).all()


def test_torchvision_imports_beside_a_cpu_torch():
    code = "from srspace.metrics._torchvision import ensure_torchvision as e; e(); e(); import torchvision.models"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
