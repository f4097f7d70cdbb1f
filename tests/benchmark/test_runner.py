from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from srspace import modes
from srspace.benchmark import PROTOCOLS, Benchmark, RecordFile, Settings, identity, methods, runner
from srspace.benchmark.identity import Identities
from srspace.benchmark.scoring import ImageScorer
from srspace.checkpoints import load_flow
from srspace.collapse import sample
from srspace.collapse.fusion import fuse
from srspace.data.datasets import Dataset, open_dataset
from srspace.hub import resolve_weights
from srspace.models import PreparedSRFlow
from srspace.resize import imresize
from srspace.upscaler import Upscaler
from tests.benchmark.common import crop_examples, grey_examples, need_lpips, settings, uint8, values
from tests.benchmark.toy_mode import DIAL
from tests.conftest import replaced_catalogue

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
ROWS = "bicubic,rrdb,sample:3@0.5,sample:4@0.9,mean:2,mean:5,median:4"


@pytest.fixture(scope="module", autouse=True)
def small_catalogue(catalogue_folder: Path) -> Iterator[Path]:
    """Small networks under the names of those in the box; what is measured here does not depend on their size."""
    with pytest.MonkeyPatch.context() as patched:
        yield from replaced_catalogue(catalogue_folder, patched)


@pytest.fixture
def images(tmp_path: Path) -> Dataset:
    return open_dataset(str(grey_examples(tmp_path / "images")))


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, list[np.ndarray]]]:
    """Every row's outputs on every image, by other means than the benchmark's."""
    dataset = open_dataset(str(grey_examples(tmp_path_factory.mktemp("o") / "images")))
    upscaler = Upscaler.load(modes=("fusion-l1",), device="cpu", precision="fp32")
    regression = load_flow(resolve_weights(Settings.weights)).encoder
    found = {}
    for pair in dataset.pairs:
        lr = pair.load(4)[1].float() / 255
        beyond = torch.from_numpy(np.pad(lr.numpy(), ((0, 0), (6, 6), (6, 6)), mode="symmetric"))
        drawn = sample(upscaler.prepared, lr, samples=10, temperature=0.9, seed=0)
        half = sample(upscaler.prepared, lr, samples=3, temperature=0.5, seed=0)
        found[pair.name] = {
            "bicubic": [uint8(imresize(lr, 4))],
            "rrdb": [uint8(regression(beyond[None])[0, :, 24:-24, 24:-24])],
            "sample:3@0.5": [uint8(image) for image in half],
            "sample:4@0.9": [uint8(image) for image in drawn[:4]],
            "mean:2@0.9": [uint8(drawn[:2].mean(0))],
            "mean:5@0.9": [uint8(drawn[:5].mean(0))],
            "median:4@0.9": [uint8(torch.from_numpy(np.median(drawn[:4].numpy(), axis=0)))],
            "fusion-l1:10@0.9": [uint8(fuse(upscaler.fusion["fusion-l1"], drawn))],
        }
    return found


@pytest.mark.parametrize("protocol", ["paper", "y-channel"])
def test_every_row_scores_as_scikit_image_does(images: Dataset, tmp_path: Path, outputs, protocol: str):
    rules = PROTOCOLS[protocol]
    results = Benchmark(images, settings(f"{ROWS},fusion-l1", protocol=rules), RecordFile(tmp_path / "r.jsonl")).run()
    assert len(results.records) == 16 and not results.failures and results.precision == "fp32"
    for record in results.records:
        hr, lr = next(p for p in images.pairs if p.name == record.image).load(4)
        reference = hr.permute(1, 2, 0).numpy()
        expected = []
        for output in outputs[record.image][record.row]:
            a, b, axis = output / 255.0, reference / 255.0, 2
            if protocol == "y-channel":
                weights = np.array([65.481, 128.553, 24.966]) / 255
                a, b, axis = (a @ weights + 16 / 255)[4:-4, 4:-4], (b @ weights + 16 / 255)[4:-4, 4:-4], None
            small = imresize(output, 0.25)
            expected.append(
                [
                    peak_signal_noise_ratio(b, a, data_range=1),
                    structural_similarity(
                        b,
                        a,
                        data_range=1,
                        gaussian_weights=True,
                        sigma=1.5,
                        use_sample_covariance=False,
                        channel_axis=axis,
                    ),
                    peak_signal_noise_ratio(lr.permute(1, 2, 0).numpy(), small, data_range=255),
                ]
            )
        # A value on the edge between two grey levels may fall either way when networks run in another order.
        got = [record.values[k] for k in ("psnr", "ssim", "lr-psnr")]
        assert got == pytest.approx(np.mean(expected, axis=0).tolist(), abs=2e-3), record.row
        if record.row == "bicubic":
            assert got == pytest.approx(expected[0], abs=1e-6), record.row


def test_y_channel_figures_are_those_of_the_project_s_measuring_script(images: Dataset, tmp_path: Path):
    """PSNR on Y without a 4-pixel border, LPIPS on the whole RGB picture in [-1, 1], outputs rounded to uint8."""
    need_lpips()
    import lpips

    chosen = settings("bicubic", "psnr,lpips", protocol=PROTOCOLS["y-channel"], lpips_net="alex")
    results = Benchmark(images, chosen, RecordFile(tmp_path / "r.jsonl")).run()
    network = lpips.LPIPS(net="alex", verbose=False)

    def luma(image: np.ndarray) -> np.ndarray:
        return (image.astype(float) @ [65.481, 128.553, 24.966]) / 255 + 16

    def tensor(image: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(image.copy()).permute(2, 0, 1)[None].float() / 127.5 - 1

    for pair in images.pairs:
        hr, lr = (t.permute(1, 2, 0).numpy() for t in pair.load(4))
        sr = uint8(imresize(torch.from_numpy(lr.copy()).permute(2, 0, 1).float() / 255, 4))
        error = (luma(sr) - luma(hr))[4:-4, 4:-4]
        expected = 10 * math.log10(255**2 / (error**2).mean()), network(tensor(sr), tensor(hr)).item()
        record = next(r for r in results.records if r.image == pair.name)
        assert (record.values["psnr"], record.values["lpips-alex"]) == pytest.approx(expected, abs=1e-5)


def test_a_sample_row_is_the_average_over_its_candidates_scores(images: Dataset, tmp_path: Path, outputs):
    results = Benchmark(images, settings("sample:4@0.9"), RecordFile(tmp_path / "r.jsonl")).run()
    for record in results.records:
        hr = images.pairs[0 if record.image == "p0" else 1].load(4)[0].permute(1, 2, 0).numpy()
        each = [peak_signal_noise_ratio(hr, output) for output in outputs[record.image]["sample:4@0.9"]]
        assert record.candidates["psnr"] == pytest.approx(each, abs=2e-3)
        assert record.values["psnr"] == pytest.approx(np.mean(record.candidates["psnr"]))


@pytest.fixture
def quick(tiny: Path) -> Callable[..., Settings]:
    """Settings with weights that have no name."""
    return partial(settings, weights=str(tiny / "x4"))


def test_a_second_run_measures_nothing(
    images: Dataset, quick: Callable[..., Settings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    records = RecordFile(tmp_path / "r.jsonl")
    first = Benchmark(images, quick(ROWS), records).run()
    before = records.path.read_bytes()

    def refuse(*arguments: object, **options: object) -> None:
        raise AssertionError("nothing should be loaded")

    monkeypatch.setattr(methods.Upscaler, "load", refuse)
    monkeypatch.setattr(runner.Scorer, "load", refuse)
    again = Benchmark(images, quick(ROWS), records).run()
    assert again.records == first.records and records.path.read_bytes() == before
    renamed = replace(images, name="other", pairs=tuple(replace(p, name=f"x{p.name}") for p in images.pairs))
    assert [r.image for r in Benchmark(renamed, quick(ROWS), records).run().records][:1] == ["xp0"]


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 1},
        {"protocol": PROTOCOLS["y-channel"]},
        {"precision": "bf16"},
        {"rows": "mean:3"},
        {"rows": "mean:2@0.8"},
        {"rows": "mean:2+latents=antithetic"},
        {"rows": "median:2"},
        {"rows": "toy-dial:2"},
        {"rows": "toy-dial:2+balance=0.25"},
    ],
)
def test_what_a_score_depends_on_is_in_its_key(
    images: Dataset, quick: Callable[..., Settings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    change: dict[str, Any],
):  # fmt: skip
    monkeypatch.setattr(modes, "_registered", {DIAL.name: DIAL})
    keys = set()
    for options in ({"rows": "mean:2"}, change, {"rows": "toy-dial:2+balance=0.75"}):
        chosen = quick(**{"rows": "mean:2"} | options)
        identities = Identities(chosen, scale=4, device=torch.device("cpu"), dtype=_DTYPES[chosen.precision])
        keys |= {identities.of(images.pairs[0], row)[0] for row in chosen.rows}
    assert len(keys) == 3


@pytest.mark.parametrize(
    ("place", "lasting"), [("decode", False), ("features", True), ("decode", True), ("score", True)]
)
def test_where_memory_runs_out_scores_are_the_same_or_the_next_image_follows(
    images: Dataset, quick: Callable[..., Settings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    place: str, lasting: bool,
):  # fmt: skip
    whole = Benchmark(images, quick("rrdb,mean:2"), RecordFile(tmp_path / "whole.jsonl")).run(2)
    owner = ImageScorer if place == "score" else PreparedSRFlow
    method, failures = getattr(owner, place), []

    def fragile(self, *given, **named):
        if (lasting and len(images_seen) == 1) or (not lasting and not failures):
            failures.append(place)
            raise RuntimeError("[enforce fail] DefaultCPUAllocator: not enough memory: you tried to allocate 8 bytes.")
        return method(self, *given, **named)

    images_seen: set[str] = set()
    monkeypatch.setattr(owner, place, fragile)
    found = Benchmark(
        images, quick("rrdb,mean:2"), RecordFile(tmp_path / "r.jsonl"),
        progress=lambda text, share: images_seen.add(text.split(":")[0]) if ":" in text else None,
    ).run(2)  # fmt: skip
    assert failures
    names = [pair.name for pair in images.pairs[:2]]
    assert list(found.failures) == (names[:1] if lasting else [])
    expected = {(r.image, r.row): r.values["psnr"] for r in whole.records}
    scores = {(r.image, r.row): r.values["psnr"] for r in found.records}
    assert scores == pytest.approx({key: expected[key] for key in scores}, abs=0.01)
    assert set(expected) - set(scores) <= ({key for key in expected if key[0] == names[0]} if lasting else set())


def test_another_random_stream_is_measured_again(
    images: Dataset, quick: Callable[..., Settings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    records = RecordFile(tmp_path / "r.jsonl")
    Benchmark(images, quick("rrdb,mean:2"), records).run(1)
    monkeypatch.setattr(identity, "draw_latents", lambda *a, **k: [torch.zeros(2, 8, 8)])
    Benchmark(images, quick("rrdb,mean:2"), records).run(1)
    assert [r.row for r in records.load().values()] == ["rrdb", "mean:2@0.9", "mean:2@0.9"]


def test_other_weights_and_other_pixels_are_measured_again(
    images: Dataset, quick: Callable[..., Settings], tiny: Path, tmp_path: Path
):
    records = RecordFile(tmp_path / "r.jsonl")
    Benchmark(images, quick("rrdb"), records).run(1)
    weights = tmp_path / "weights"
    shutil.copytree(tiny / "x4", weights)
    Benchmark(images, quick("rrdb", weights=str(weights)), records).run(1)
    assert len(records.load()) == 1, "the same weights elsewhere are the same weights"
    config = json.loads((weights / "config.json").read_text())
    config["encoder"]["skip"] = "first"
    (weights / "config.json").write_text(json.dumps(config))
    Benchmark(images, quick("rrdb", weights=str(weights)), records).run(1)
    assert len(records.load()) == 2
    with Image.open(images.pairs[0].hr) as image:
        image.rotate(180).save(images.pairs[0].hr)
    Benchmark(images, quick("rrdb"), records).run(1)
    assert len(records.load()) == 3


def test_the_same_seed_gives_the_same_scores_and_another_one_others(images: Dataset, tmp_path: Path):
    runs = [
        Benchmark(images, settings("sample:2,mean:2", seed=seed), RecordFile(tmp_path / f"{i}.jsonl")).run(1)
        for i, seed in enumerate((0, 0, 1))
    ]
    assert values(runs[0]) == values(runs[1]) and values(runs[0]) != values(runs[2])


def test_an_interrupted_run_goes_on_and_a_torn_line_is_passed_over(
    images: Dataset, quick: Callable[..., Settings], tmp_path: Path
):
    whole = Benchmark(images, quick(ROWS), RecordFile(tmp_path / "whole.jsonl")).run()
    records = RecordFile(tmp_path / "r.jsonl")

    def interrupt(text: str, share: float) -> None:
        if text.startswith("p1: candidates"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Benchmark(images, quick(ROWS), records, progress=interrupt).run()
    kept = len(records.load())
    assert kept == 7 + 2
    records.path.write_bytes(records.path.read_bytes()[:-40])
    assert len(records.load()) == kept - 1
    finished = Benchmark(images, quick(ROWS), records).run()
    assert values(finished) == values(whole)
    assert len(RecordFile(records.path).load()) == 14
    assert values(Benchmark(images, quick(ROWS), RecordFile(records.path, fresh=True)).run()) == values(whole)


def test_progress_goes_from_nothing_to_all(images: Dataset, quick: Callable[..., Settings], tmp_path: Path):
    shares: list[float] = []
    Benchmark(
        images, quick(ROWS), RecordFile(tmp_path / "r.jsonl"), progress=lambda text, share: shares.append(share)
    ).run()
    assert shares == sorted(shares) and shares[0] == 0 and shares[-1] == 1 and len(set(shares)) > 5


def test_columns_added_later_join_the_record(images: Dataset, quick: Callable[..., Settings], tmp_path: Path):
    records = RecordFile(tmp_path / "r.jsonl")
    Benchmark(images, quick("bicubic,mean:2", "psnr"), records).run()
    both = Benchmark(images, quick("bicubic,mean:2", "psnr,ssim"), records).run()
    assert both.mean("mean:2@0.9", "psnr") is not None and both.mean("mean:2@0.9", "ssim") is not None
    lines = [json.loads(line) for line in records.path.read_text().splitlines()]
    assert len(lines) == 8 and all("psnr" not in line["values"] for line in lines[4:])


def test_every_record_has_its_lr_psnr_which_is_no_reason_to_measure_again(
    images: Dataset, quick: Callable[..., Settings], tmp_path: Path
):
    records = RecordFile(tmp_path / "r.jsonl")
    first = Benchmark(images, quick("bicubic,sample:2,mean:2", "psnr"), records).run()
    assert all("lr-psnr" in record.values for record in first.records)
    assert all(len(record.candidates["lr-psnr"]) == 2 for record in first.of_row("sample:2@0.9"))
    older = [json.loads(line) for line in records.path.read_text().splitlines()]
    for line in older:
        del line["values"]["lr-psnr"]
    records.path.write_text("".join(json.dumps(line) + "\n" for line in older))
    Benchmark(images, quick("bicubic,sample:2,mean:2", "psnr"), records).run()
    assert len(records.path.read_text().splitlines()) == 6
    Benchmark(images, quick("bicubic,sample:2,mean:2", "psnr,lr-psnr"), records).run()
    assert len(records.path.read_text().splitlines()) == 12


def test_images_too_small_for_a_metric_are_left_out_of_it(tmp_path: Path):
    crop_examples(tmp_path / "a", 1)
    with Image.open(tmp_path / "a" / "p0.png") as image:
        image.crop((0, 0, 8, 8)).save(tmp_path / "a" / "small.png")
    records = RecordFile(tmp_path / "r.jsonl")
    dataset = open_dataset(str(tmp_path / "a"))
    for _ in range(2):
        results = Benchmark(dataset, settings("bicubic", "psnr,ssim"), records).run()
        assert set(results.scores("bicubic", "ssim")) == {"p0"} and set(results.scores("bicubic", "psnr")) == {
            "p0",
            "small",
        }
        assert "small" in results.missing["ssim"] and len(records.path.read_text().splitlines()) == 2


def test_diversity_is_that_of_the_package_s_spatial_maps(images: Dataset, tmp_path: Path, outputs):
    need_lpips()
    import lpips

    results = Benchmark(
        images, settings("sample:4,mean:2", "diversity,lpips", lpips_net="squeeze"), RecordFile(tmp_path / "r.jsonl")
    ).run()
    network = lpips.LPIPS(net="alex", spatial=True, verbose=False)
    for record in results.records:
        if record.row.startswith("mean"):
            assert "diversity" not in record.values
            continue
        hr = next(p for p in images.pairs if p.name == record.image).load(4)[0][None].float() / 127.5 - 1
        drawn = [
            torch.from_numpy(o.copy()).permute(2, 0, 1)[None].float() / 127.5 - 1
            for o in outputs[record.image][record.row]
        ]
        maps = torch.cat([network(d, hr) for d in drawn]).detach()
        best, local = maps.mean((1, 2, 3)).min().item(), maps.min(0).values.mean().item()
        assert record.values["diversity"] == pytest.approx((best - local) / best * 100, rel=1e-2)


def test_a_flow_of_another_size_is_benchmarked_from_its_folder(images: Dataset, tmp_path: Path, model):
    from srspace.checkpoints import save_model

    save_model(tmp_path / "small", model)
    assert load_flow(tmp_path / "small").scale == 4
    chosen = settings("rrdb,sample:2@0.1,mean:2@0.1", weights=str(tmp_path / "small"))
    results = Benchmark(images, chosen, RecordFile(tmp_path / "r.jsonl")).run(1)
    assert {r.row for r in results.records} == {"rrdb", "sample:2@0.1", "mean:2@0.1"}
    assert all(r.settings["weights"]["flow"] for r in results.records)
