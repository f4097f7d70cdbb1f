from __future__ import annotations

import os
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from srspace.metrics import (
    METRICS,
    Dists,
    Diversity,
    Lpips,
    MetricUnavailableError,
    NoReference,
    PieApp,
    diversity,
    lr_psnr,
    luma,
    perceptual_index,
    ssim,
    to_uint8,
)
from srspace.metrics.weights import METRIC_WEIGHTS, fetch_weights
from srspace.resize import imresize


def pair(height: int = 40, width: int = 53) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    a = torch.rand(2, 3, height, width, generator=generator)
    return a, (a + 0.1 * torch.randn(a.shape, generator=generator)).clamp(0, 1)


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


def test_rounding_is_that_of_a_written_file(tmp_path: Path):
    from srspace.images import Picture, read_picture, write_picture

    values = torch.linspace(-0.1, 1.1, 48 * 3).reshape(3, 6, 8)
    write_picture(Picture(values.permute(1, 2, 0).contiguous().numpy()), tmp_path / "a.png")
    written = np.round(read_picture(tmp_path / "a.png").rgb * 255).astype(np.uint8)
    assert np.array_equal(to_uint8(values).permute(1, 2, 0).numpy(), written)


def test_lr_psnr_is_psnr_after_matlab_bicubic_in_8_bits():
    hr, sr = pair(40, 52)
    lr = imresize(to_uint8(hr), 1 / 4)
    small = imresize(to_uint8(sr), 1 / 4)
    expected = [peak_signal_noise_ratio(x.numpy(), y.numpy(), data_range=255) for x, y in zip(lr, small, strict=True)]
    assert lr_psnr(sr, lr.float() / 255).tolist() == pytest.approx(expected, abs=1e-6)
    assert lr_psnr(to_uint8(hr).float() / 255, lr.float() / 255).isinf().all()


def test_diversity_follows_its_definition():
    maps = [torch.tensor([[1.0, 4.0], [3.0, 2.0]]), torch.tensor([[2.0, 1.0], [3.0, 3.0]])]
    # global best: min(10, 9) / 4; local best: (1 + 1 + 3 + 2) / 4
    assert diversity(maps) == pytest.approx((9 - 7) / 9 * 100)
    assert diversity(maps[:1]) == 0
    assert diversity([maps[0]] * 3) == 0
    assert diversity([torch.zeros(2, 2)]) == 0
    with pytest.raises(ValueError):
        Diversity().value()


def test_the_first_map_is_not_written_to():
    first, second = torch.ones(2, 2), torch.zeros(2, 2)
    diversity([first, second])
    assert first.sum() == 4


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


def test_perceptual_index_gives_the_paper_s_fusion_lpips_row():
    # NIQE 3.270 and Ma 6.416 give PI 3.427 in the paper's Table 1.
    assert perceptual_index(3.270, 6.416) == pytest.approx(3.427, abs=5e-4)


@pytest.fixture
def no_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "_hub_dir", None)

    def refuse(*arguments: object, **options: object) -> None:
        raise OSError("no network in this test")

    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)


@pytest.mark.parametrize(("make", "command"), [(Dists, "pull dists"), (PieApp, "pull pieapp")])
def test_missing_weights_are_one_sentence_with_a_command(no_weights, capfd, make, command: str):
    with pytest.raises(MetricUnavailableError, match=f"run 'srspace data {command}'") as error:
        make()
    assert "\n" not in str(error.value)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("net", ["vgg", "alex"])
def test_a_missing_lpips_backbone_is_one_sentence_with_a_command(no_weights, capfd, net):
    with pytest.raises(MetricUnavailableError, match=f"run 'srspace data pull lpips-{net}'"):
        Lpips(net)
    assert capfd.readouterr() == ("", "")


def test_a_missing_library_is_one_sentence_with_a_command(monkeypatch: pytest.MonkeyPatch):
    for name in ("piq", "pyiqa"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MetricUnavailableError, match=r"pip install 'srspace\[metrics\]'"):
        Dists()
    with pytest.raises(MetricUnavailableError, match=r"non-commercial.*pip install 'srspace\[no-reference\]'"):
        NoReference("niqe")


def test_dists_and_pieapp_pass_piq_s_scores_on(monkeypatch: pytest.MonkeyPatch):
    """The weights cannot be had in a test; what is ours is how the library is called."""
    calls = []

    class Fake(torch.nn.Module):
        def __init__(self, **options: object) -> None:
            super().__init__()
            calls.append(options)

        def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
            return (a - b).abs().mean((1, 2, 3))[:, None]

    monkeypatch.setitem(sys.modules, "piq", types.SimpleNamespace(DISTS=Fake, PieAPP=Fake))
    a, b = pair(64, 64)
    assert Dists()(a, b).tolist() == pytest.approx((a - b).abs().mean((1, 2, 3)).tolist())
    assert PieApp()(a, b).shape == (2,)
    assert calls == [{"reduction": "none"}, {"reduction": "none", "data_range": 1.0, "stride": 27}]
    with pytest.raises(ValueError, match="64 pixels"):
        PieApp()(a[..., :40], b[..., :40])


def test_pieapp_is_piq_s(monkeypatch: pytest.MonkeyPatch):
    """The real library, with random weights in place of the published ones."""
    from srspace.metrics._torchvision import ensure_torchvision

    ensure_torchvision()
    piq = pytest.importorskip("piq")
    from piq.pieapp import PieAPPModel

    torch.manual_seed(0)
    state = PieAPPModel().state_dict()
    state["ref_score_subtract.weight"] = state["ref_score_subtract.weight"].squeeze(1)
    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", lambda *a, **k: dict(state))
    a, b = pair(70, 100)
    ours = PieApp()(a, b)
    assert ours.shape == (2,) and torch.equal(ours, piq.PieAPP(reduction="none", stride=27)(a, b).flatten())


def test_niqe_and_ma_pass_pyiqa_s_scores_on(monkeypatch: pytest.MonkeyPatch):
    made = []

    def create_metric(name: str, device: torch.device):
        made.append((name, device.type))
        return lambda image: image.mean((1, 2, 3))[:, None]

    monkeypatch.setitem(sys.modules, "pyiqa", types.SimpleNamespace(create_metric=create_metric))
    a, _ = pair(96, 100)
    for name in ("niqe", "ma"):
        assert NoReference(name)(a).tolist() == pytest.approx(a.mean((1, 2, 3)).tolist())
    assert made == [("niqe", "cpu"), ("nrqm", "cpu")]
    with pytest.raises(ValueError, match="96 pixels"):
        NoReference("niqe")(a[..., :50])


def test_every_perceptual_metric_can_be_fetched_by_name(distance: Lpips):
    fetch_weights(f"lpips-{distance.net}")
    names = {name.split("-")[0] for name in METRIC_WEIGHTS}
    assert names == {name for name, info in METRICS.items() if info.kind == "perception"} - {"pi"}
