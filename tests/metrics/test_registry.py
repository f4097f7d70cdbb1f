from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest
import torch

from srspace.errors import MetricWeightsError, UsageError
from srspace.metrics import Context, Metric, Reference, View, describe, every, find, parse, register, registry

CPU = torch.device("cpu")


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Metrics registered in a test are gone after it."""
    monkeypatch.setattr(registry, "_registered", {})


def views(size: int = 64) -> tuple[View, Reference]:
    generator = torch.Generator().manual_seed(0)
    hr = torch.rand(3, size, size, generator=generator)
    return View.of((hr + 0.1).clamp(0, 1)), Reference(View.of(hr), View.of(hr[:, ::4, ::4]))


def test_describing_metrics_loads_no_torch():
    code = "import sys; from srspace.metrics import every, parse; parse('all'); sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_every_metric_that_is_computed_names_a_function_that_exists():
    from srspace.metrics.metric import load

    for metric in every().values():
        assert (metric.maker == "") == (metric.kind == "cost"), metric.name
        for path in (metric.maker, *metric.networks.values()):
            assert not path or callable(load(path)), path


def test_lists_are_read_in_the_order_of_a_table_s_columns():
    assert parse("ssim, PSNR") == ["psnr", "ssim"] and parse("all") == list(every())
    for wrong in ("", "nothing", "psnr,nothing"):
        with pytest.raises(UsageError):
            parse(wrong)


def test_a_later_metric_of_a_name_takes_the_place_of_the_earlier(own: None):
    mine = register(Metric("psnr", "Mine", "nowhere:make", True, 1, "distortion"))
    assert find("psnr") is mine and next(iter(every())) == "psnr"
    assert describe("unheard-of").title == "unheard-of" and describe("unheard-of").higher_is_better is None


class Counted:
    """A network whose loadings and uses are counted."""

    def __init__(self) -> None:
        self.loaded, self.used = 0, 0

    def __call__(self, device: torch.device) -> Callable[[torch.Tensor], torch.Tensor]:
        self.loaded += 1

        def network(image: torch.Tensor) -> torch.Tensor:
            self.used += 1
            return image.mean((1, 2, 3))

        return network


def test_metrics_share_a_network_and_a_score_of_an_output_is_computed_once(own: None, monkeypatch: pytest.MonkeyPatch):
    counted = Counted()
    module = sys.modules[__name__]
    monkeypatch.setattr(module, "load_counted", counted, raising=False)
    monkeypatch.setattr(module, "make_a", lambda context: lambda o, r: context.network("counted")(o.rgb), raising=False)
    monkeypatch.setattr(
        module,
        "make_b",
        lambda context: (context.network("counted"), lambda o, r: 2 * context.score("a")(o, r))[1],
        raising=False,
    )
    needs = {"counted": f"{__name__}:load_counted"}
    for name in ("a", "b"):
        register(Metric(name, name, f"{__name__}:make_{name}", True, 1, "distortion", networks=needs))
    context, (output, reference) = Context(CPU), views()
    a, b = context.score("a")(output, reference), context.score("b")(output, reference)
    assert b == 2 * a and (counted.loaded, counted.used) == (1, 1)


def test_a_network_that_cannot_be_had_is_asked_for_once(own: None, monkeypatch: pytest.MonkeyPatch):
    tries = []

    def fail(device: torch.device) -> None:
        tries.append(device)
        raise MetricWeightsError("Toy", "toy", "no network")

    monkeypatch.setattr(sys.modules[__name__], "fail", fail, raising=False)
    register(Metric("toy", "Toy", "x:y", True, 1, "perception", networks={"toy": f"{__name__}:fail"}))
    context = Context(CPU)
    for _ in range(2):
        with pytest.raises(MetricWeightsError):
            context.network("toy")
    assert len(tries) == 1


def test_the_protocol_s_channel_and_border_reach_the_metrics_that_follow_it():
    output, reference = views()
    figures = {
        name: [Context(CPU, y_only=y, border=b).score(name)(View(output.uint8[0]), reference).item()
               for y, b in ((False, 0), (True, 0), (False, 4))]
        for name, metric in every().items()
        if metric.maker and not metric.networks and not metric.candidates
    }  # fmt: skip
    for name, found in figures.items():
        assert (len(set(found)) == 3) == find(name).channel, name


def test_which_way_is_better():
    better = {name: metric.higher_is_better for name, metric in every().items()}
    assert {name for name, higher in better.items() if higher} >= {"psnr", "ssim", "ma", "lr-psnr", "diversity"}
    assert {name for name, higher in better.items() if higher is False} >= {"lpips", "pieapp", "dists", "niqe", "pi"}
    assert better["seconds"] is None and better["memory"] is None
