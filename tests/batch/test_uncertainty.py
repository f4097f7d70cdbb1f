from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from srspace.batch import BatchSettings, Done, Failed, upscale_files
from srspace.batch.gates import check_agreement
from srspace.batch.uncertainty import FULL, grey_map
from srspace.batch.uncertainty_map import drawn
from srspace.config import SamplingConfig
from srspace.errors import AgreementError, AnimationError, CandidateExistsError, FewCandidatesError, UsageError
from srspace.images import read_header, read_picture
from tests.pictures import picture


@pytest.fixture
def settings(tiny: Path, tmp_path: Path) -> BatchSettings:
    return BatchSettings(
        weights=str(tiny / "x4"), mode="mean", sampling=SamplingConfig(samples=3), device="cpu",
        uncertainty=tmp_path / "u.png", output=tmp_path / "out",
    )  # fmt: skip


def test_the_map_is_the_deviation_of_the_candidates(settings: BatchSettings, tmp_path: Path):
    source = picture(tmp_path / "a.png")
    (outcome,) = upscale_files(source, replace(settings, save_samples=tmp_path / "s"))
    candidates = np.stack([read_picture(path).rgb for path in sorted((tmp_path / "s").iterdir())])
    expected = np.sqrt(candidates.var(0).mean(2))
    found = read_picture(tmp_path / "u.png")
    assert isinstance(outcome, Done) and len(candidates) == 3 and expected.max() > 0.01
    assert (found.grey, found.bit_depth, found.width, found.height) == (True, 16, 32, 24)
    told = dict(found.metadata.texts)
    assert float(told["srspace-deviation-of-white"]) == FULL and "3 candidates" in told["Description"]
    assert np.abs(found.rgb[..., 0] * FULL - expected).max() < 1 / 255  # candidates were rounded to 8 bits
    assert read_header(tmp_path / "u.png").provenance.settings["uncertainty"] == "grey"


def test_white_stands_for_the_largest_deviation_that_there_is():
    apart = np.stack((np.zeros((2, 2, 3)), np.ones((2, 2, 3))))
    assert grey_map(np.sqrt(apart.var(0).mean(2)).astype(np.float32), 2).rgb.tolist() == np.ones((2, 2, 3)).tolist()


def test_a_map_in_colours_has_a_legend_and_grows_brighter_with_the_deviation():
    deviation = np.linspace(0, 0.2, 300, dtype=np.float32)[None].repeat(40, 0)
    sheet = drawn(deviation, 5)
    brightness = sheet.rgb[:40].mean((0, 2))
    assert sheet.width == 300 and sheet.height > 60 and (np.diff(brightness) > -0.01).all()
    assert brightness[0] < 0.05 and brightness[-1] > 0.8
    assert dict(sheet.metadata.texts)["Description"].startswith("Standard deviation of 5 candidates")
    assert (sheet.rgb[-19:] < 0.4).any(), "words of the legend"
    assert drawn(deviation[:, :9], 5).width > 200, "a narrow picture leaves room for the legend"


def test_a_folder_gets_a_map_for_each_picture(settings: BatchSettings, tmp_path: Path):
    picture(tmp_path / "in" / "a.png")
    picture(tmp_path / "in" / "sub" / "a.png", seed=1)
    told = replace(settings, uncertainty=tmp_path / "maps", uncertainty_style="map", recursive=True)
    assert [type(o) for o in upscale_files(tmp_path / "in", told)] == [Done, Done]
    found = sorted(str(path.relative_to(tmp_path / "maps")) for path in (tmp_path / "maps").rglob("*.png"))
    assert found == ["a.png_uncertainty.png", "sub/a.png_uncertainty.png"]
    with pytest.raises(UsageError, match="need a folder"):
        upscale_files(tmp_path / "in", settings)
    with pytest.raises(UsageError, match="PNG"):
        upscale_files(tmp_path / "in" / "a.png", replace(settings, uncertainty="u.jpg"))


def test_what_is_there_is_kept_and_a_map_of_this_picture_is_made_again(settings: BatchSettings, tmp_path: Path):
    source, taken = picture(tmp_path / "a.png"), picture(tmp_path / "u.png", seed=3)
    before = taken.read_bytes()
    (outcome,) = upscale_files(source, settings)
    assert isinstance(outcome.error, CandidateExistsError) and taken.read_bytes() == before
    assert [type(o) for o in upscale_files(source, replace(settings, overwrite=True))] == [Done]
    Path(tmp_path / "out" / "a_x4.png").unlink()  # as an interruption would leave it
    assert [type(o) for o in upscale_files(source, settings)] == [Done]


def test_one_candidate_differs_from_nothing(settings: BatchSettings):
    for mode, samples in (("mean", 1), ("sample", None), ("rrdb", None), (None, None)):
        with pytest.raises(FewCandidatesError, match="at least 2"):
            replace(settings, mode=mode, sampling=SamplingConfig(samples=samples))
    with pytest.raises(UsageError, match="grey or map"):
        replace(settings, uncertainty_style="colour")


def test_animations_have_no_map(settings: BatchSettings, tmp_path: Path):
    from PIL import Image

    frames = [Image.new("RGB", (8, 8), (90 + 20 * i, 120, 130)) for i in range(2)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    (outcome,) = upscale_files(tmp_path / "a.gif", settings)
    assert isinstance(outcome.error, AnimationError) and not (tmp_path / "u.png").exists()


def test_results_that_do_not_agree_with_their_input_fail_and_are_not_written(settings: BatchSettings, tmp_path: Path):
    source, told = picture(tmp_path / "a.png"), replace(settings, uncertainty=None)
    (free,) = upscale_files(source, told)
    told = replace(told, output=tmp_path / "out2", min_lr_psnr=free.lr_psnr + 0.01)
    (outcome,) = upscale_files(source, told)
    assert isinstance(outcome, Failed) and isinstance(outcome.error, AgreementError)
    assert outcome.error.lr_psnr == free.lr_psnr and "a.png" in str(outcome.error)
    assert not list((tmp_path / "out2").iterdir())
    (outcome,) = upscale_files(source, replace(told, min_lr_psnr=free.lr_psnr - 0.01))
    assert isinstance(outcome, Done)
    for least in (float("nan"), float("inf")):
        with pytest.raises(UsageError):
            replace(settings, min_lr_psnr=least)


def test_no_map_is_written_of_a_result_that_fails(settings: BatchSettings, tmp_path: Path):
    (outcome,) = upscale_files(picture(tmp_path / "a.png"), replace(settings, min_lr_psnr=99.9))
    assert isinstance(outcome, Failed) and not (tmp_path / "u.png").exists()


def test_what_is_not_known_does_not_pass():
    class Unknown:
        lr_psnr = None

    check_agreement("a", Unknown(), None)
    with pytest.raises(AgreementError):
        check_agreement("a", Unknown(), 20)
