from __future__ import annotations

from pathlib import Path

import pytest

from srspace.cli.main import main
from srspace.suggestions import did_you_mean
from tests.pictures import picture


def test_only_near_names_are_suggested():
    assert did_you_mean("Mean", ["mean", "median"]) == " (did you mean mean?)"
    assert did_you_mean("xyz", ["mean", "median"]) == did_you_mean("", []) == ""


@pytest.mark.parametrize(
    ("arguments", "code", "near"),
    [
        ("upscale IN -m fusion-lpip", 2, "fusion-lpips"),
        ("upscale IN -w srflow-x4-lite", 3, "srflow-da-x4-lite"),
        ("upscale IN -m fusion-l1 --fusion fusion-l1-x4", 3, "fusion-l1-x4-lite"),
        ("upscale IN --format tif_", 2, "tiff"),
        ("upscale IN --format jpge", 2, "jpeg"),
        ("weights info fusion-l1-lite", 3, "fusion-l1-x4-lite"),
        ("data pull set-5", 2, "set5"),
        ("data pull lpips-alx", 2, "lpips-alex"),
        ("bench urban-100", 1, "urban100"),
        ("bench . --metrics psnr,lpisp", 2, "lpips"),
        ("bench . --rows mena:5", 2, "mean"),
        ("bench . --protocol y-chanel", 2, "y-channel"),
        ("train encoder --data . --out OUT --recipe encoder-4-permutd", 2, "encoder-4-permuted"),
    ],
)
def test_mistyped_names_are_answered_with_near_ones(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: str, code: int, near: str
):
    source = str(picture(tmp_path / "a.png"))
    words = [{"IN": source, "OUT": str(tmp_path / "run")}.get(word, word) for word in arguments.split()]
    assert main(words) == code
    error = capsys.readouterr().err
    assert f"(did you mean {near}?)" in error and len(error.splitlines()) == 1
