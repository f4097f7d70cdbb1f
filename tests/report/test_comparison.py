from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from srspace.benchmark import Results
from srspace.cli.main import main
from srspace.errors import DataError, UsageError
from srspace.report.comparison import bootstrap, compare
from tests.report.made import results, table_1


@pytest.mark.parametrize("count", [5, 100])
def test_the_bootstrap_agrees_with_scipy(count: int):
    differences = np.random.default_rng(count).normal(0.1, 1, count)
    low, high = bootstrap(differences, confidence=0.9, resamples=20_000)
    expected = stats.bootstrap(
        (differences,),
        np.mean,
        method="percentile",
        confidence_level=0.9,
        n_resamples=20_000,
        rng=np.random.default_rng(1),
    ).confidence_interval
    assert (low, high) == pytest.approx((expected.low, expected.high), abs=0.03)
    assert bootstrap(differences) == bootstrap(differences)
    assert bootstrap(differences, seed=1) != bootstrap(differences, seed=2)


def test_the_bootstrap_of_many_images_does_not_need_their_product_in_memory():
    differences = np.random.default_rng(0).normal(0, 1, 3000)
    low, high = bootstrap(differences)
    assert high - low == pytest.approx(2 * 1.96 / np.sqrt(3000), rel=0.1)
    for wrong in (differences[:1], differences[:0]):
        with pytest.raises(ValueError):
            bootstrap(wrong)


def scored(offset: float, noise: float, count: int = 30, **changes: object) -> Results:
    generator = np.random.default_rng(3)
    base, jitter = generator.normal(28, 4, count), generator.normal(0, 1, count)
    images = {
        f"i{k:02d}": {"psnr": float(base[k] + offset + noise * jitter[k]), "lpips-vgg": float(0.3 - offset / 100)}
        for k in range(count)
    }
    return results({"rrdb": images}, **changes)


def test_pairing_finds_what_the_spread_between_images_would_hide():
    found = {d.metric: d for d in compare(scored(0, 0), scored(0.1, 0.05))}
    assert found["psnr"].better == "b" and found["lpips"].better == "b"
    assert found["psnr"].difference == pytest.approx(0.1, abs=0.03)
    assert found["psnr"].low is not None and 0 < found["psnr"].low < found["psnr"].difference
    assert {d.metric: d for d in compare(scored(0.1, 0.05), scored(0, 0))}["psnr"].better == "a"
    assert {d.metric: d for d in compare(scored(0, 0), scored(0.01, 1))}["psnr"].better is None


def test_what_cannot_be_compared_is_refused():
    a = scored(0, 0)
    with pytest.raises(DataError, match="different protocols"):
        compare(a, scored(0, 0, protocol="y-channel"))
    with pytest.raises(DataError, match="no row, metric and image"):
        compare(a, results({"bicubic": {"i00": {"psnr": 1.0}}}))
    with pytest.raises(UsageError, match="no row 'mean'"):
        compare(a, a, row_b="mean")
    with pytest.raises(UsageError, match="confidence"):
        compare(a, a, confidence=1)
    other = scored(0, 0)
    other.records[0].settings["hr"] = "another file"
    with pytest.raises(DataError, match="not the same image"):
        compare(a, other)
    (single,) = compare(scored(0, 0, 1, metrics=["psnr"]), scored(1, 0, 1, metrics=["psnr"]))
    assert (single.low, single.high, single.better, single.images) == (None, None, None, 1)


def test_compare_from_the_command_line(tmp_path: Path, capsys):
    for name, made in (("a.json", table_1()), ("b.json", table_1())):
        (tmp_path / name).write_text(json.dumps(made.to_json()))
    a, b = str(tmp_path / "a.json"), str(tmp_path / "b.json")
    assert main(["bench", "compare", a, b, "--row-a", "rrdb", "--row-b", "fusion-lpips:10@0.9", "--json"]) == 0
    found = {d["metric"]: d for d in map(json.loads, capsys.readouterr().out.splitlines())}
    assert found["psnr"]["difference"] == pytest.approx(28.281 - 29.102)
    assert found["lpips"]["better"] == "b" and found["psnr"]["better"] == "a"
    for word in ("mean:5", "mean 5", "mean:5@0.9"):
        assert main(["bench", "compare", a, b, "--row-a", word, "--row-b", "fusion-lpips", "--json"]) == 0
        assert json.loads(capsys.readouterr().out.splitlines()[0])["row_a"] == "mean:5@0.9"
    assert main(["bench", "compare", a, b]) == 0
    assert "rrdb" in capsys.readouterr().out
    assert main(["bench", "compare", a, str(tmp_path / "c.json")]) == 1
    assert "cannot be read" in capsys.readouterr().err
