from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from srspace import metrics, modes
from srspace.benchmark import parse_rows, read_results, runner
from srspace.cli.main import main
from srspace.errors import MetricWeightsError
from srspace.metrics import registry
from srspace.report.styles import style_of
from srspace.resize import imresize
from tests.benchmark.common import crop_examples, grey_examples
from tests.benchmark.toy_metric import WORST
from tests.benchmark.toy_mode import DIAL


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return grey_examples(tmp_path / "images")


@pytest.fixture
def command(folder: Path, tiny: Path, tmp_path: Path) -> list[str]:
    """A quick benchmark of small random weights; a test appends what it is about."""
    records, weights = str(tmp_path / "r.jsonl"), str(tiny / "x4")
    return ["bench", str(folder), "-q", "--device", "cpu", "--records", records, "--weights", weights]


def test_metrics_that_are_not_to_be_had_leave_a_dash_and_are_no_reason_to_run_again(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def missing(device: torch.device) -> None:
        raise MetricWeightsError("NIQE", "niqe", "no network")

    monkeypatch.setattr("srspace.metrics.no_reference.load_niqe", missing)
    monkeypatch.setattr("srspace.metrics.no_reference.load_ma", missing)
    for _ in range(2):
        assert main([*command, "--rows", "bicubic,mean:2", "--metrics", "psnr,niqe,pi"]) == 0
        out = capsys.readouterr().out
        assert out.count("Run 'srspace data pull niqe' with a network.") == 1
        lines = [line.split() for line in out.splitlines() if line.startswith(("bicubic", "mean"))]
        assert [line[-2:] for line in lines] == [["-", "-"]] * 2
        assert len((tmp_path / "r.jsonl").read_text().splitlines()) == 4


def test_a_broken_image_is_named_and_the_others_go_on(
    command: list[str], folder: Path, capsys: pytest.CaptureFixture[str]
):
    (folder / "p0.png").write_text("no picture")
    assert main([*command, "--rows", "bicubic", "--metrics", "psnr"]) == 1
    printed = capsys.readouterr()
    assert "p0.png is not a picture" in printed.err and "not on all images: bicubic" in printed.out


def test_a_metric_of_somebody_else_is_a_column(
    command: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(registry, "_registered", {})
    metrics.register(WORST)
    assert main([*command, "--rows", "bicubic,sample:2", "--metrics", "psnr,worst", "--csv", "-"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [float(row["worst"]) > 10 for row in rows] == [True, True]
    assert main([*command, "--rows", "bicubic,sample:2", "--metrics", "psnr,worst"]) == 0
    assert "Worst\u2193" in capsys.readouterr().out


def test_a_mode_of_somebody_else_is_a_row_with_its_parameters(
    command: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(modes, "_registered", {})
    modes.register(DIAL)
    rows = "toy-dial:3@0.5+balance=0,mean:3@0.5,toy-dial:3@0.5+balance=1,toy-dial"
    assert main([*command, "--precision", "fp32", "--rows", rows, "--metrics", "psnr", "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    means = {row["name"]: row["means"]["psnr"] for row in content["rows"]}
    assert list(means) == [
        "toy-dial:3@0.5+balance=0", "mean:3@0.5", "toy-dial:3@0.5+balance=1", "toy-dial:4@0.9+balance=0.5",
    ]  # fmt: skip
    assert means["toy-dial:3@0.5+balance=0"] == pytest.approx(means["mean:3@0.5"], abs=1e-3)
    assert means["toy-dial:3@0.5+balance=1"] != means["mean:3@0.5"]
    recorded = {record["row"]: record["settings"].get("parameters") for record in content["records"]}
    assert recorded["toy-dial:4@0.9+balance=0.5"] == {"balance": 0.5} and recorded["mean:3@0.5"] is None


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
        ["--rows", "mean+balance=1"],
        ["--json", "--csv", "-"],
        ["--csv", "-", "--markdown", "-"],
        ["--save-json", "-"],
        ["--json", "a.json"],
        ["--csv", "."],
        ["--plot", "plot.doc"],
    ],
)
def test_mistakes_are_usage_errors_before_any_work(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str]
):
    assert main([*command, "--metrics", "psnr", *arguments]) == 2
    printed = capsys.readouterr()
    assert printed.err.strip() and "Traceback" not in printed.err and printed.out == ""
    assert not (tmp_path / "r.jsonl").exists()


def test_json_goes_to_standard_output_or_to_a_file(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    arguments = [*command, "--rows", "bicubic,sample:2", "--metrics", "psnr,seconds", "--precision", "bf16"]
    assert main([*arguments, "--save-json", str(tmp_path / "a.json")]) == 0
    assert "PSNR" in capsys.readouterr().out
    assert main([*arguments, "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert content == json.loads((tmp_path / "a.json").read_text())
    results = read_results(tmp_path / "a.json")
    assert content["rows"][0]["means"]["psnr"] == results.mean("bicubic", "psnr")
    settings = content["records"][1]["settings"]
    assert {"seed", "tau", "n", "weights", "protocol", "hr", "torch"} <= set(settings)
    assert content["precision"] == settings["precision"] == "bf16"
    assert all("lr-psnr" in record["values"] for record in content["records"]), "it is no column here"
    assert main([*arguments, "--json", "--save-json", str(tmp_path / "missing" / "b.json")]) == 0
    assert json.loads((tmp_path / "missing" / "b.json").read_text()) == content


def test_the_plane_is_plotted(command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    rows = "bicubic,rrdb,sample:2@0.5,sample:2,mean:2,mean:3"
    arguments = [*command, "--rows", rows, "--metrics", "psnr,lpips", "--lpips-net", "alex"]
    written = {}
    for suffix in ("png", "svg"):
        path = tmp_path / "plots" / f"plane.{suffix}"
        assert main([*arguments, "--plot", str(path)]) == 0
        written[suffix] = path.read_bytes()
    for suffix, start in {"png": b"\x89PNG", "svg": b"<?xml"}.items():
        assert written[suffix].startswith(start)
    text = written["svg"].decode()  # text is drawn as shapes, but each group says in a comment what it shows
    for label in ("rrdb", "sample tau 0.5", "sample tau 0.9", "mean 2", "mean 3"):
        assert f"<!-- {label} -->" in text
    assert "<!-- bicubic -->" not in text and "PSNR on RGB (dB)" in text and "LPIPS (alex)" in text
    pixels = np.asarray(Image.open(io.BytesIO(written["png"])).convert("RGB")).reshape(-1, 3)
    colours = {style_of(row).colour for row in parse_rows("mean:2,sample:2", temperature=0.9, scored=2)}
    shown = {f"#{red:02X}{green:02X}{blue:02X}" for red, green, blue in pixels.tolist()}
    assert {"#000000", "#FFFFFF"} | colours <= shown


def test_a_plot_of_one_point_is_said(command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = tmp_path / "plane.png"
    assert main([*command, "--rows", "bicubic,rrdb", "--metrics", "psnr", "--plot", str(path)]) == 2
    assert "needs two rows" in capsys.readouterr().err and not path.exists()


def test_comparing_two_files_loads_no_torch(command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = str(tmp_path / "a.json")
    assert main([*command, "--rows", "bicubic,rrdb", "--metrics", "psnr", "--save-json", path]) == 0
    code = f"""
import sys
from srspace.cli.main import main
from srspace.config import DEFAULT_WEIGHTS
code = main(["bench", "compare", {path!r}, {path!r}, "--row-a", "bicubic", "--row-b", "rrdb"])
sys.exit(code or 10 * ("torch" in sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0 and "bicubic / rrdb" in done.stdout, done.stderr


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


def test_bench_routes_an_unknown_first_word_to_its_default_command(capsys):
    from srspace.cli.bench import app

    assert {command.name for command in app.registered_commands} >= {"run", "compare"}
    assert main(["bench", "--help"]) == 0 and "compare" in capsys.readouterr().out
    assert main(["bench", "compare", "--help"]) == 0 and "bootstrap" in capsys.readouterr().out
    assert main(["bench", "--limit", "1", "no-such-folder"]) == 1
    assert "neither a folder nor a data set" in capsys.readouterr().err


def test_an_interruption_is_said(
    command: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def interrupt(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(runner.Benchmark, "run", interrupt)
    assert main([*command, "--rows", "bicubic"]) == 130
    assert capsys.readouterr().err.startswith("srspace: interrupted")


def test_a_report_is_one_page_with_the_pictures(command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    report = tmp_path / "report.html"
    wanted = ["--rows", "bicubic,mean:2", "--metrics", "psnr"]
    assert main([*command, *wanted, "--report", str(report)]) == 0
    text = report.read_text(encoding="utf-8")
    assert text.count("data:image/webp") == 2 * 4  # two images: input, original and two rows
    assert "mean" in capsys.readouterr().out
    assert main([*command, *wanted, "--report", str(tmp_path)]) == 2
    assert "is a folder" in capsys.readouterr().err
