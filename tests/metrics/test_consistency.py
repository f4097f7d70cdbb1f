from __future__ import annotations

import pytest
from skimage.metrics import peak_signal_noise_ratio

from srspace.metrics import lr_psnr, to_uint8
from srspace.resize import imresize
from tests.metrics.images import pair


def test_lr_psnr_is_psnr_after_matlab_bicubic_in_8_bits():
    hr, sr = pair(40, 52)
    lr = imresize(to_uint8(hr), 1 / 4)
    small = imresize(to_uint8(sr), 1 / 4)
    expected = [peak_signal_noise_ratio(x.numpy(), y.numpy(), data_range=255) for x, y in zip(lr, small, strict=True)]
    assert lr_psnr(sr, lr.float() / 255).tolist() == pytest.approx(expected, abs=1e-6)
    assert lr_psnr(to_uint8(hr).float() / 255, lr.float() / 255).isinf().all()
