from __future__ import annotations

import json
import math
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from srspace.benchmark import (
    PROTOCOLS,
    Benchmark,
    Record,
    RecordFile,
    Results,
    Row,
    Settings,
    external_rows,
    parse_rows,
    read_results,
    runner,
)
from srspace.benchmark import candidates as candidates_module
from srspace.checkpoints import load_flow
from srspace.cli.main import main
from srspace.collapse import sample
from srspace.collapse.fusion import fuse
from srspace.data.datasets import Dataset, open_dataset
from srspace.errors import DataError, OutputError, UsageError
from srspace.hub import resolve_weights
from srspace.metrics import Lpips, MetricUnavailableError, lr_psnr
from srspace.resize import imresize
from srspace.upscaler import Upscaler

EXAMPLES = Path(__file__).parents[2] / "examples"
ROWS = "bicubic,rrdb,sample:3@0.5,sample:4@0.9,mean:2,mean:5,median:4,fusion-l1"


def crop_examples(folder: Path, count: int = 2, size: tuple[int, int] = (64, 48)) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    with Image.open(EXAMPLES / "parrot_HR.png") as image:
        for i in range(count):
            left, top = 40 + 50 * i, 60 + 20 * i
            image.convert("RGB").crop((left, top, left + size[0], top + size[1])).save(folder / f"p{i}.png")
    return folder


@pytest.fixture
def images(tmp_path: Path) -> Dataset:
    return open_dataset(str(crop_examples(tmp_path / "images")))


def settings(rows: str = ROWS, metrics: str = "psnr,ssim,lr-psnr", **changes: object) -> Settings:
    chosen = tuple(parse_rows(rows, temperature=0.9, scored=10))
    options = {"device": "cpu", "precision": "fp32"} | changes
    return Settings(rows=chosen, metrics=tuple(metrics.split(",")), **options)  # type: ignore[arg-type]


def values(results: Results) -> dict[tuple[str, str], dict[str, float]]:
    """Scores without the costs, which differ from run to run."""
    return {
        (r.row, r.image): {k: v for k, v in r.values.items() if k not in ("seconds", "memory")} for r in results.records
    }


def need_lpips() -> Lpips:
    try:
        return Lpips("alex")
    except MetricUnavailableError:
        pytest.skip("no LPIPS backbone in TORCH_HOME")


def uint8(image: torch.Tensor) -> np.ndarray:
    return np.floor(image.clamp(0, 1).permute(1, 2, 0).numpy() * 255 + 0.5).astype(np.uint8)


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, list[np.ndarray]]]:
    """Every row's outputs on every image, by other means than the benchmark's."""
    dataset = open_dataset(str(crop_examples(tmp_path_factory.mktemp("o") / "images")))
    upscaler = Upscaler.load(modes=("fusion-l1",), device="cpu", precision="fp32")
    found = {}
    for pair in dataset.pairs:
        lr = pair.load(4)[1].float() / 255
        drawn = sample(upscaler.prepared, lr, samples=10, temperature=0.9, seed=0)
        half = sample(upscaler.prepared, lr, samples=3, temperature=0.5, seed=0)
        found[pair.name] = {
            "bicubic": [uint8(imresize(lr, 4))],
            "rrdb": [uint8(upscaler.prepared.encoder(lr[None])[0])],
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
    results = Benchmark(images, settings(protocol=rules), RecordFile(tmp_path / "r.jsonl")).run()
    assert len(results.records) == 16 and not results.failures
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


def test_scores_of_one_output_agree_with_scikit_image_and_lpips_exactly(images: Dataset):
    from srspace.benchmark.scoring import Scorer

    need_lpips()
    import lpips

    hr, lr = images.pairs[0].load(4)
    sr = torch.rand(3, *hr.shape[1:], generator=torch.Generator().manual_seed(1))
    scorer = Scorer(
        ["psnr", "ssim", "lpips", "lr-psnr"],
        lpips_net="alex",
        protocol=PROTOCOLS["paper"],
        scale=4,
        device=torch.device("cpu"),
    )
    got = scorer.image(hr, lr).score(sr, set(scorer.keys))
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
    assert got["lr-psnr"] == lr_psnr(a, lr[None].float() / 255).item()


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


def test_candidates_are_drawn_once_for_all_rows(images: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    drawn = []

    class Counting(candidates_module.Sampler):
        def __iter__(self):
            for candidate in super().__iter__():
                drawn.append((self.sampling.temperature, candidate.index))
                yield candidate

    monkeypatch.setattr(candidates_module, "Sampler", Counting)
    Benchmark(images, settings("sample:3@0.5,sample:4,mean:5,mean:2,median:4"), RecordFile(tmp_path / "r.jsonl")).run(1)
    assert drawn == [(0.5, i) for i in range(3)] + [(0.9, i) for i in range(5)]


def test_a_second_run_measures_nothing(images: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    records = RecordFile(tmp_path / "r.jsonl")
    first = Benchmark(images, settings(), records).run()
    before = records.path.read_bytes()

    def refuse(*arguments: object, **options: object) -> None:
        raise AssertionError("nothing should be loaded")

    monkeypatch.setattr(runner.Upscaler, "load", refuse)
    monkeypatch.setattr(runner.Scorer, "load", refuse)
    again = Benchmark(images, settings(), records).run()
    assert again.records == first.records and records.path.read_bytes() == before
    renamed = replace(images, name="other", pairs=tuple(replace(p, name=f"x{p.name}") for p in images.pairs))
    assert [r.image for r in Benchmark(renamed, settings(), records).run().records][:1] == ["xp0"]


@pytest.mark.parametrize("change", [{"seed": 1}, {"protocol": PROTOCOLS["y-channel"]}, {"precision": "bf16"}])
def test_what_a_score_depends_on_is_in_its_key(images: Dataset, tmp_path: Path, change: dict[str, object]):
    records = RecordFile(tmp_path / "r.jsonl")
    Benchmark(images, settings("mean:2"), records).run(1)
    Benchmark(images, settings("mean:2", **change), records).run(1)
    assert len(records.load()) == 2


def test_another_random_stream_is_measured_again(images: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    records = RecordFile(tmp_path / "r.jsonl")
    Benchmark(images, settings("rrdb,mean:2"), records).run(1)
    monkeypatch.setattr(runner, "draw_latents", lambda *a, **k: [torch.zeros(2, 8, 8)])
    Benchmark(images, settings("rrdb,mean:2"), records).run(1)
    assert [r.row for r in records.load().values()] == ["rrdb", "mean:2@0.9", "mean:2@0.9"]


def test_other_weights_and_other_pixels_are_measured_again(images: Dataset, tmp_path: Path):
    records = RecordFile(tmp_path / "r.jsonl")
    Benchmark(images, settings("rrdb"), records).run(1)
    weights = tmp_path / "weights"
    shutil.copytree(resolve_weights(Settings.weights), weights)
    Benchmark(images, settings("rrdb", weights=str(weights)), records).run(1)
    assert len(records.load()) == 1, "the same weights elsewhere are the same weights"
    config = json.loads((weights / "config.json").read_text())
    config["encoder"]["skip"] = "first"
    (weights / "config.json").write_text(json.dumps(config))
    Benchmark(images, settings("rrdb", weights=str(weights)), records).run(1)
    assert len(records.load()) == 2
    with Image.open(images.pairs[0].hr) as image:
        image.rotate(180).save(images.pairs[0].hr)
    Benchmark(images, settings("rrdb"), records).run(1)
    assert len(records.load()) == 3


def test_the_same_seed_gives_the_same_scores_and_another_one_others(images: Dataset, tmp_path: Path):
    runs = [
        Benchmark(images, settings("sample:2,mean:2", seed=seed), RecordFile(tmp_path / f"{i}.jsonl")).run()
        for i, seed in enumerate((0, 0, 1))
    ]
    assert values(runs[0]) == values(runs[1]) and values(runs[0]) != values(runs[2])


def test_an_interrupted_run_goes_on_and_a_torn_line_is_passed_over(images: Dataset, tmp_path: Path):
    whole = Benchmark(images, settings(), RecordFile(tmp_path / "whole.jsonl")).run()
    records = RecordFile(tmp_path / "r.jsonl")

    def interrupt(text: str, share: float) -> None:
        if text.startswith("p1: candidates"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Benchmark(images, settings(), records, progress=interrupt).run()
    kept = len(records.load())
    assert kept == 8 + 2
    records.path.write_bytes(records.path.read_bytes()[:-40])
    assert len(records.load()) == kept - 1
    finished = Benchmark(images, settings(), records).run()
    assert values(finished) == values(whole)
    assert len(RecordFile(records.path).load()) == 16
    assert values(Benchmark(images, settings(), RecordFile(records.path, fresh=True)).run()) == values(whole)


def test_columns_added_later_join_the_record(images: Dataset, tmp_path: Path):
    records = RecordFile(tmp_path / "r.jsonl")
    Benchmark(images, settings("bicubic,mean:2", "psnr"), records).run()
    both = Benchmark(images, settings("bicubic,mean:2", "psnr,ssim"), records).run()
    assert both.mean("mean:2@0.9", "psnr") is not None and both.mean("mean:2@0.9", "ssim") is not None
    lines = [json.loads(line) for line in records.path.read_text().splitlines()]
    assert len(lines) == 8 and all("psnr" not in line["values"] for line in lines[4:])


def test_metrics_that_are_not_to_be_had_leave_a_dash_and_are_no_reason_to_run_again(
    images: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
):
    from srspace.benchmark import scoring

    def missing(*arguments: object) -> None:
        raise MetricUnavailableError("NIQE is not here: run 'the command'.")

    monkeypatch.setattr(scoring, "NoReference", missing)
    records = tmp_path / "r.jsonl"
    arguments = ["bench", str(images.pairs[0].hr.parent), "--rows", "bicubic,mean:2", "--metrics", "psnr,niqe,pi", "-q"]
    for _ in range(2):
        assert main([*arguments, "--records", str(records)]) == 0
        out = capsys.readouterr().out
        assert out.count("run 'the command'") == 1
        assert [line.split()[-2:] for line in out.splitlines() if line.startswith(("bicubic", "mean"))] == [
            ["-"] * 2
        ] * 2
        assert len(records.read_text().splitlines()) == 4


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


def test_a_broken_image_is_named_and_the_others_go_on(images: Dataset, tmp_path: Path, capsys):
    images.pairs[0].hr.write_text("no picture")
    folder = str(images.pairs[0].hr.parent)
    arguments = [
        "bench",
        folder,
        "--rows",
        "bicubic",
        "--metrics",
        "psnr",
        "--records",
        str(tmp_path / "r.jsonl"),
        "-q",
    ]
    assert main(arguments) == 1
    printed = capsys.readouterr()
    assert "p0.png is not a picture" in printed.err and "not on all images: bicubic" in printed.out


def write_esrgan(path: Path, *, plus: bool = False, scale: int = 4, blocks: int = 1) -> Path:
    from srspace.metrics._torchvision import ensure_torchvision

    ensure_torchvision()
    from spandrel.architectures.ESRGAN import ESRGAN

    torch.manual_seed(0)
    torch.save(ESRGAN(num_filters=8, num_blocks=blocks, scale=scale, plus=plus).state_dict(), path)
    return path


@pytest.mark.parametrize("plus", [False, True])
def test_another_model_is_a_row(images: Dataset, tmp_path: Path, capsys, plus: bool):
    path = write_esrgan(tmp_path / "ESRGAN.pth", plus=plus)
    state = torch.load(path)
    assert any("conv1x1" in key for key in state) == plus
    arguments = ["bench", str(images.pairs[0].hr.parent), "--rows", "bicubic", "--compare", str(path), "--csv", "-"]
    assert main([*arguments, "--metrics", "psnr,ssim", "--records", str(tmp_path / "r.jsonl"), "-q"]) == 0
    row = capsys.readouterr().out.splitlines()[2].split(",")
    assert row[:3] == ["compare:ESRGAN", "ESRGAN", "2"] and math.isfinite(float(row[3]))
    from spandrel.architectures.ESRGAN import ESRGAN

    network = ESRGAN(num_filters=8, num_blocks=1, scale=4, plus=plus).eval()
    network.load_state_dict(state)
    expected = []
    for pair in images.pairs:
        hr, lr = pair.load(4)
        with torch.no_grad():
            output = network(lr[None].float() / 255)[0]
        expected.append(peak_signal_noise_ratio(hr.permute(1, 2, 0).numpy(), uint8(output)))
    assert float(row[3]) == pytest.approx(np.mean(expected), abs=1e-5)


def test_another_model_is_tiled_like_ours(tmp_path: Path):
    from srspace.benchmark import ExternalModel

    model = ExternalModel(write_esrgan(tmp_path / "e.pth"), scale=4, device=torch.device("cpu"))
    lr = torch.rand(3, 30, 50, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(model.upscale(lr, tile=16), model.upscale(lr, tile=0), atol=1e-6)


@pytest.mark.parametrize(
    ("name", "code", "words"),
    [
        ("missing.pth", 2, "does not exist"),
        ("text.pth", 3, "not a model that spandrel can load"),
        ("text.md", 3, "not a model that spandrel can load"),
        ("tensors.safetensors", 3, "not a model that spandrel can load"),
        ("pickle.pth", 3, "not a model that spandrel can load"),
        ("x2.pth", 2, "upscales 3 channels 2x; 3 channels and 4x are needed"),
    ],
)
def test_a_wrong_model_file_is_one_sentence_before_any_work(
    images: Dataset, tmp_path: Path, capsys, name: str, code: int, words: str
):
    from safetensors.torch import save_file

    (tmp_path / "text.pth").write_text("hello")
    (tmp_path / "text.md").write_text("hello")
    save_file({"weight": torch.zeros(3)}, tmp_path / "tensors.safetensors")
    torch.save({"call": print}, tmp_path / "pickle.pth")
    write_esrgan(tmp_path / "x2.pth", scale=2)
    records = tmp_path / "r.jsonl"
    arguments = ["bench", str(images.pairs[0].hr.parent), "--compare", str(tmp_path / name), "--records", str(records)]
    assert main([*arguments, "--metrics", "psnr", "-q"]) == code
    printed = capsys.readouterr()
    lines = printed.err.strip().splitlines()
    assert len(lines) == 1 and words in lines[0] and lines[0].endswith(".") and not records.exists(), printed.err


def test_external_rows_are_told_apart_by_their_folders(tmp_path: Path):
    rows = external_rows([tmp_path / "a" / "net.pth", tmp_path / "b" / "net.pth", tmp_path / "c.pth"])
    assert [row.label for row in rows] == ["a/net", "b/net", "c"]


@pytest.mark.parametrize(
    ("text", "name", "label"),
    [
        ("bicubic", "bicubic", "bicubic"),
        ("sample@0.1", "sample:7@0.1", "sample tau 0.1"),
        ("mean:5", "mean:5@0.9", "mean 5"),
        ("mean", "mean:10@0.9", "mean 10"),
        ("median:25@0.5", "median:25@0.5", "median 25 tau 0.5"),
        ("fusion-lpips", "fusion-lpips:10@0.9", "fusion-lpips"),
        ("fusion-l1:20", "fusion-l1:20@0.9", "fusion-l1 20"),
    ],
)
def test_rows_are_read_from_words(text: str, name: str, label: str):
    (row,) = parse_rows(text, temperature=0.9, scored=7)
    assert (row.name, row.label) == (name, label)
    assert parse_rows(row.name, temperature=0.3, scored=3) == [row]


def test_the_paper_s_rows_and_repeated_ones():
    rows = parse_rows("paper,mean:5,mean:1", temperature=0.9, scored=10)
    assert [row.label for row in rows] == [
        "bicubic", "rrdb", "sample tau 0.1", "sample tau 0.5", "sample tau 0.9", "mean 5", "mean 25", "median 5",
        "median 25", "fusion-l1", "fusion-lpips", "mean 1",
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["", "average:5", "mean:x", "mean:0", "rrdb:3", "bicubic@0.5", "mean@9", "mean@0.1.2"])
def test_wrong_rows_are_refused(text: str):
    with pytest.raises(UsageError):
        parse_rows(text, temperature=0.9, scored=10)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--rows", "nothing"],
        ["--metrics", "nothing"],
        ["--protocol", "nothing"],
        ["--lpips-net", "nothing"],
        ["--device", "abacus"],
        ["--rows", "fusion-l1:0"],
        ["--seed", "-1"],
        ["--limit", "0"],
        ["--scale", "2", "--rows", "rrdb"],
        ["--json", "-", "--csv", "-"],
        ["--csv", "."],
        ["--plot", "plot.doc"],
    ],
)
def test_mistakes_are_usage_errors_before_any_work(images: Dataset, tmp_path: Path, capsys, arguments: list[str]):
    records = tmp_path / "r.jsonl"
    command = ["bench", str(images.pairs[0].hr.parent), "--metrics", "psnr", "--records", str(records), *arguments]
    assert main(command) == 2
    printed = capsys.readouterr()
    assert printed.err.strip() and "Traceback" not in printed.err and printed.out == "" and not records.exists()


def test_results_survive_json_even_an_infinite_psnr(tmp_path: Path):
    record = Record("k", "d", "i", "bicubic", {"psnr": math.inf, "ssim": 1.0}, {"psnr": [math.inf, 30.0]})
    assert Record.from_json(json.loads(json.dumps(record.to_json(), allow_nan=False))) == record
    RecordFile(tmp_path / "r.jsonl").append(record)
    assert RecordFile(tmp_path / "r.jsonl").load() == {"k": record}
    with pytest.raises(OutputError):
        RecordFile(tmp_path).append(record)


def test_json_output_can_be_read_back(images: Dataset, tmp_path: Path, capsys):
    path = tmp_path / "a.json"
    arguments = ["bench", str(images.pairs[0].hr.parent), "--rows", "bicubic,sample:2", "--metrics", "psnr,seconds"]
    assert main([*arguments, "--records", str(tmp_path / "r.jsonl"), "--json", str(path), "-q"]) == 0
    results = read_results(path)
    content = json.loads(path.read_text())
    assert content["rows"][0]["means"]["psnr"] == results.mean("bicubic", "psnr")
    settings_kept = content["records"][1]["settings"]
    assert {"seed", "tau", "n", "weights", "protocol", "hr", "torch"} <= set(settings_kept)
    for text, words in (
        ("[]", "is not the result"),
        ("{", "is not JSON"),
        ('{"schema": "srspace-bench/1"}', "damaged"),
    ):
        path.write_text(text)
        with pytest.raises(DataError, match=words):
            read_results(path)


def test_the_official_layout_of_div2k_runs(tmp_path: Path, capsys):
    for name in ("0801", "0802"):
        hr = tmp_path / "DIV2K_valid_HR" / f"{name}.png"
        crop_examples(hr.parent, 1)
        (hr.parent / "p0.png").rename(hr)
        lr = tmp_path / "DIV2K_valid_LR_bicubic" / "X4" / f"{name}x4.png"
        lr.parent.mkdir(parents=True, exist_ok=True)
        with Image.open(hr) as image:
            Image.fromarray(imresize(np.asarray(image), 0.25)).save(lr)
    arguments = ["bench", "div2k-val", "--data-root", str(tmp_path), "--rows", "bicubic,rrdb", "--metrics", "psnr"]
    assert main([*arguments, "--records", str(tmp_path / "r.jsonl"), "-q"]) == 0
    out = capsys.readouterr().out
    assert "div2k-val: 2 images, 4x, LR from files" in out


def test_a_flow_of_another_size_is_benchmarked_from_its_folder(images: Dataset, tmp_path: Path, model):
    from srspace.checkpoints import save_model

    save_model(tmp_path / "small", model)
    assert load_flow(tmp_path / "small").scale == 4
    chosen = settings("rrdb,sample:2@0.1,mean:2@0.1", weights=str(tmp_path / "small"))
    results = Benchmark(images, chosen, RecordFile(tmp_path / "r.jsonl")).run(1)
    assert {r.row for r in results.records} == {"rrdb", "sample:2@0.1", "mean:2@0.1"}
    assert all(r.settings["weights"]["flow"] for r in results.records)


def test_rows_are_values():
    assert Row("mean", 5, 0.9) == Row("mean", 5, 0.9) and Row("mean", 5, 0.9) != Row("mean", 6, 0.9)


def test_bench_routes_an_unknown_first_word_to_its_default_command(capsys):
    from srspace.cli.bench import app

    assert {command.name for command in app.registered_commands} >= {"run", "compare"}
    assert main(["bench", "--help"]) == 0 and "compare" in capsys.readouterr().out
    assert main(["bench", "compare", "--help"]) == 0 and "bootstrap" in capsys.readouterr().out
    assert main(["bench", "--limit", "1", "no-such-folder"]) == 1
    assert "neither a folder nor a data set" in capsys.readouterr().err


def test_an_interruption_is_said(images: Dataset, monkeypatch: pytest.MonkeyPatch, capsys):
    def interrupt(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(runner.Benchmark, "run", interrupt)
    assert main(["bench", str(images.pairs[0].hr.parent), "--rows", "bicubic", "-q"]) == 130
    assert capsys.readouterr().err.startswith("srspace: interrupted")
