from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio

from srspace.errors import DataError
from srspace.metrics import Lpips, luma, psnr


def images() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    return torch.rand(2, 3, 64, 64), torch.rand(2, 3, 64, 64)


def test_psnr_agrees_with_scikit_image():
    a, b = (x.double() for x in images())
    expected = [peak_signal_noise_ratio(y.numpy(), x.numpy(), data_range=1) for x, y in zip(a, b, strict=True)]
    assert psnr(a, b).tolist() == pytest.approx(expected, abs=1e-6)
    y, z = luma(a)[0, 0, 4:-4, 4:-4].numpy(), luma(b)[0, 0, 4:-4, 4:-4].numpy()
    assert psnr(a, b, y_only=True, border=4)[0].item() == pytest.approx(peak_signal_noise_ratio(z, y, data_range=1))
    with pytest.raises(ValueError):
        psnr(a, b[..., :32])


def test_luma_of_white_and_black():
    assert luma(torch.ones(1, 3, 1, 1)).item() == pytest.approx(235 / 255, abs=1e-6)
    assert luma(torch.zeros(1, 3, 1, 1)).item() == pytest.approx(16 / 255, abs=1e-6)


@pytest.fixture(params=["alex", "squeeze"])
def distance(request) -> Lpips:
    try:
        return Lpips(request.param)
    except DataError:
        pytest.skip("no LPIPS backbone in TORCH_HOME")


def test_lpips_equals_the_package_and_its_loss_has_finite_gradients(distance: Lpips):
    import lpips

    a, b = images()
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
