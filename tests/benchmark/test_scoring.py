from __future__ import annotations

import math

import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from srspace.benchmark.scoring import Scorer
from srspace.data.datasets import Dataset
from srspace.errors import MetricWeightsError
from srspace.metrics import Context, Lpips, lr_psnr
from tests.benchmark.common import need_lpips, uint8

CPU = torch.device("cpu")


def test_scores_of_one_output_agree_with_scikit_image_and_lpips_exactly(images: Dataset):
    need_lpips()
    import lpips

    hr, lr = images.pairs[0].load(4)
    sr = torch.rand(3, *hr.shape[1:], generator=torch.Generator().manual_seed(1))
    scorer = Scorer(["psnr", "ssim", "lpips"], Context(CPU, lpips_net="alex"))
    image = scorer.image(hr, lr)
    got = image.score(image.view(sr), scorer.keys())
    output, reference = uint8(sr), hr.permute(1, 2, 0).numpy()
    a, b = (torch.from_numpy(x.copy()).permute(2, 0, 1)[None].float() / 255 for x in (output, reference))
    assert got["psnr"] == pytest.approx(peak_signal_noise_ratio(reference, output), abs=1e-6)
    expected = structural_similarity(
        reference / 255.0,
        output / 255.0,
        data_range=1,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        channel_axis=2,
    )
    assert got["ssim"] == pytest.approx(expected, abs=1e-6)
    package = lpips.LPIPS(net="alex", verbose=False)
    assert got["lpips-alex"] == package(a * 2 - 1, b * 2 - 1).item()
    assert got["lr-psnr"] == lr_psnr(a, lr[None].float() / 255).item(), "no column, yet always recorded"


def test_the_reference_s_features_are_computed_once_and_the_columns_share_a_network(
    images: Dataset, monkeypatch: pytest.MonkeyPatch
):
    need_lpips()
    seen, made = [], []
    features, init = Lpips.features, Lpips.__init__
    monkeypatch.setattr(Lpips, "features", lambda self, image: seen.append(image) or features(self, image))
    monkeypatch.setattr(Lpips, "__init__", lambda self, net="alex": made.append(net) or init(self, net))
    hr, lr = images.pairs[0].load(4)
    scorer = Scorer(["lpips", "diversity"], Context(CPU, lpips_net="alex"))
    image = scorer.image(hr, lr)
    gathering = image.gathering(scorer.keys(2))
    for k in range(3):
        output = image.view(hr.float() / 255 + 0.01 * k)
        image.score(output, scorer.keys(2))
        gathering.add(output)
    assert made == ["alex"] and len(seen) == 1 + 3
    assert sum(torch.equal(x, hr[None].float() / 255) for x in seen) == 2, "the reference, and the output equal to it"
    assert gathering.values()["diversity"] == 0


def test_metrics_of_several_candidates_are_columns_of_rows_that_have_them():
    scorer = Scorer(["psnr", "diversity", "seconds"], Context(CPU))
    assert scorer.keys() == scorer.keys(1) == {"psnr"} and scorer.keys(2) == {"psnr", "diversity"}


def test_what_an_image_is_too_small_for_is_not_a_number():
    need_lpips()
    hr, lr = torch.zeros(3, 8, 8, dtype=torch.uint8), torch.zeros(3, 2, 2, dtype=torch.uint8)
    scorer = Scorer(["psnr", "ssim", "lpips", "diversity"], Context(CPU, lpips_net="alex"))
    image = scorer.image(hr, lr)
    output = image.view(torch.ones(3, 8, 8))
    found = image.score(output, scorer.keys())
    assert found["psnr"] == 0 and math.isnan(found["ssim"]) and math.isnan(found["lpips-alex"])
    gathering = image.gathering(scorer.keys(2))
    gathering.add(output)
    gathering.add(output)
    assert math.isnan(gathering.values()["diversity"])


def test_other_mistakes_of_a_metric_are_not_taken_for_a_small_image(images: Dataset, monkeypatch: pytest.MonkeyPatch):
    def fail(*arguments: object, **options: object) -> None:
        raise RuntimeError("expected scalar type Float but found Half")

    monkeypatch.setattr("srspace.metrics.distortion.psnr", fail)
    scorer = Scorer(["psnr"], Context(CPU))
    image = scorer.image(*images.pairs[0].load(4))
    with pytest.raises(RuntimeError, match="scalar type"):
        image.score(image.view(torch.zeros(3, 48, 64)), scorer.keys())


def test_what_cannot_be_had_is_left_out_with_its_reason(monkeypatch: pytest.MonkeyPatch):
    def missing(device: torch.device) -> None:
        raise MetricWeightsError("NIQE", "niqe", "no network")

    monkeypatch.setattr("srspace.metrics.no_reference.load_niqe", missing)
    monkeypatch.setattr("srspace.metrics.no_reference.load_ma", lambda device: lambda image: image.mean((1, 2, 3)))
    scorer = Scorer(["psnr", "niqe", "ma", "pi"], Context(CPU))
    assert scorer.available() == {"psnr", "ma"}
    assert {key: error.weights for key, error in scorer.missing.items()} == {"niqe": "niqe", "pi": "niqe"}
