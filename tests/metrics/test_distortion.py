from __future__ import annotations

import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from srspace.metrics import luma, psnr, ssim
from tests.metrics.images import pair


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


@pytest.mark.parametrize(("y_only", "border"), [(False, 0), (True, 4), (False, 3)])
def test_ssim_agrees_with_scikit_image(y_only: bool, border: int):
    a, b = pair()
    scores = ssim(a, b, y_only=y_only, border=border)
    for i in range(2):
        x, y = (luma(t)[i] if y_only else t[i] for t in (a.double(), b.double()))
        height, width = x.shape[1:]
        inside = (slice(None), slice(border, height - border), slice(border, width - border))
        expected = structural_similarity(
            x[inside].numpy(),
            y[inside].numpy(),
            data_range=1,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            channel_axis=0,
        )
        assert scores[i].item() == pytest.approx(expected, abs=1e-6)


def test_ssim_of_equal_images_is_one_and_small_images_are_refused():
    a, _ = pair()
    assert ssim(a, a).tolist() == pytest.approx([1, 1])
    with pytest.raises(ValueError, match="11 pixels"):
        ssim(a, a, border=16)
    with pytest.raises(ValueError, match="expected two images"):
        ssim(a, a[..., :20])
