from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from srspace.benchmark import Benchmark, RecordFile, Results, Settings
from srspace.benchmark.methods import Methods
from srspace.data.datasets import Dataset, open_dataset
from srspace.metrics import to_uint8
from srspace.report.summary import examples
from srspace.report.summary.examples import SIDE, outputs, ranking
from tests.benchmark.common import grey_examples, settings
from tests.report.made import results

ROWS = "bicubic,rrdb,sample:2,mean:2,mean:3,median:2@0.5"


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory, tiny: Path) -> tuple[Dataset, Settings, Results]:
    root = tmp_path_factory.mktemp("set")
    dataset = open_dataset(str(grey_examples(root / "images", 5, (32, 24))), scale=4)
    chosen = settings(ROWS, "psnr,ssim", weights=str(tiny / "x4"))
    return dataset, chosen, Benchmark(dataset, chosen, RecordFile(root / "r.jsonl")).run()


def test_the_best_and_the_worst_images_are_shown(measured: tuple[Dataset, Settings, Results]):
    dataset, chosen, found = measured
    row, metric = ranking(found) or ("", "")
    assert metric == "psnr"
    assert found.mean(row, metric) == max(found.mean(name, metric) or 0 for name, _ in found.rows)
    scores = found.scores(row, metric)
    order = sorted(scores, key=lambda name: -scores[name])
    shown = examples(dataset, chosen, found)
    assert [(e.image, e.best) for e in shown] == [*((n, True) for n in order[:2]), *((n, False) for n in order[-2:])]
    assert [crop.label for crop in shown[0].crops] == ["input", "original", *dict(found.rows).values()]
    assert {crop.row: crop.score for crop in shown[0].crops}[row] == scores[order[0]]


def test_crops_are_of_what_each_row_makes_alone(measured: tuple[Dataset, Settings, Results], tiny: Path):
    dataset, chosen, found = measured
    methods = Methods(chosen, 4, torch.device("cpu"))
    methods.prepare(chosen.rows)
    _, lr = dataset.pairs[0].load(4)
    together = outputs(methods, chosen.rows, lr.float() / 255)
    assert list(together) == list(chosen.rows)
    for row in chosen.rows:
        (alone,) = outputs(methods, [row], lr.float() / 255).values()
        assert torch.allclose(together[row], alone, atol=1e-5), row.name
    shown = {example.image: example for example in examples(dataset, chosen, found)}
    name = dataset.pairs[0].name
    if name in shown:
        for crop, image in zip(shown[name].crops[2:], together.values(), strict=True):
            whole = to_uint8(image).permute(1, 2, 0).numpy()  # smaller than a crop, so all of it
            assert crop.image.shape == (24, 32, 3) and SIDE > 32
            assert np.abs(crop.image.astype(int) - whole.astype(int)).max() <= 1


def test_few_images_are_shown_once_each(measured: tuple[Dataset, Settings, Results]):
    dataset, chosen, found = measured
    three = replace(found, records=[r for r in found.records if r.image in found.images[:3]])
    shown = examples(dataset, chosen, three)
    assert len({e.image for e in shown}) == len(shown) == 3


def test_ranking_takes_the_first_metric_of_perception():
    rows = {"rrdb": {"i": {"psnr": 30.0, "lpips-vgg": 0.3}}, "mean:5@0.9": {"i": {"psnr": 29.0, "lpips-vgg": 0.2}}}
    assert ranking(results(rows)) == ("mean:5@0.9", "lpips")
    assert ranking(results({"rrdb": {"i": {"seconds": 1.0}}})) is None
