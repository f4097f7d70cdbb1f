"""Metrics that need a library or weights which may be missing."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from srspace.cli.failures import in_words
from srspace.errors import MetricUnavailableError, MetricWeightsError, UsageError
from srspace.metrics import Dists, Lpips, NoReference, PieApp, every, fetch_weights, networks, perceptual_index
from tests.metrics.images import pair


@pytest.fixture
def no_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "_hub_dir", None)

    def refuse(*arguments: object, **options: object) -> None:
        raise OSError("no network in this test")

    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)


@pytest.mark.parametrize(
    ("make", "weights"),
    [
        (Dists, "dists"),
        (PieApp, "pieapp"),
        (lambda: Lpips("vgg"), "lpips-vgg"),
        (lambda: Lpips("alex"), "lpips-alex"),
    ],
)
def test_missing_weights_are_one_sentence_and_the_command_line_says_what_fetches_them(
    no_weights, capfd, make: Callable[[], object], weights: str
):
    with pytest.raises(MetricWeightsError, match=r"could not be fetched \(no network in this test\)") as error:
        make()
    assert error.value.weights == weights and weights in networks() and "\n" not in str(error.value)
    assert in_words(error.value) == f"{error.value} Run 'srspace data pull {weights}' with a network."
    assert capfd.readouterr() == ("", "")


def test_a_missing_library_is_one_sentence_with_a_command(monkeypatch: pytest.MonkeyPatch):
    for name in ("piq", "pyiqa"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MetricUnavailableError, match=r"pip install 'srspace\[metrics\]'"):
        Dists()
    with pytest.raises(MetricUnavailableError, match=r"non-commercial.*pip install 'srspace\[no-reference\]'"):
        NoReference("niqe")


def test_perceptual_index_gives_the_paper_s_fusion_lpips_row():
    # NIQE 3.270 and Ma 6.416 give PI 3.427 in the paper's Table 1.
    assert perceptual_index(3.270, 6.416) == pytest.approx(3.427, abs=5e-4)


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


def test_every_network_of_a_metric_can_be_fetched_by_name(monkeypatch: pytest.MonkeyPatch):
    assert {name for metric in every().values() if metric.kind == "perception" for name in metric.networks} == set(
        networks()
    )
    loaded = []
    monkeypatch.setattr("srspace.metrics.dists.load", lambda device: loaded.append(device.type))
    fetch_weights("dists")
    assert loaded == ["cpu"]
    with pytest.raises(UsageError, match=r"no metric has weights called .*; there are lpips-vgg"):
        fetch_weights("nothing")
