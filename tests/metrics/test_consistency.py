from __future__ import annotations

import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio

from srspace.metrics import lr_psnr, to_uint8
from srspace.metrics.consistency import make
from srspace.metrics.context import Context
from srspace.metrics.view import Reference, View
from srspace.resize import imresize
from tests.metrics.images import pair


def test_lr_psnr_is_psnr_after_matlab_bicubic_in_8_bits():
    hr, sr = pair(40, 52)
    lr = imresize(to_uint8(hr), 1 / 4)
    small = imresize(to_uint8(sr), 1 / 4)
    expected = [peak_signal_noise_ratio(x.numpy(), y.numpy(), data_range=255) for x, y in zip(lr, small, strict=True)]
    assert lr_psnr(sr, lr.float() / 255).tolist() == pytest.approx(expected, abs=1e-6)
    assert lr_psnr(to_uint8(hr).float() / 255, lr.float() / 255).isinf().all()


def test_a_benchmark_tells_at_most_100_db_so_that_there_is_a_mean():
    hr, sr = pair(40, 52)
    score = make(Context(torch.device("cpu")))
    lr = View(imresize(to_uint8(hr[0]), 1 / 4))
    reference = Reference(View.of(hr[0]), lr)
    assert score(View.of(hr[0]), reference).tolist() == [100]
    assert score(View.of(sr[0]), reference).tolist() == pytest.approx(lr_psnr(sr[:1], lr.rgb).tolist(), abs=1e-6)
