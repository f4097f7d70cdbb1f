"""Results of every size, with a flow of random weights; what is asked of the networks is compared with themselves."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from srspace.batch import BatchSettings, Done, Failed, Kept, upscale_files
from srspace.batch.sizing import SizedUpscaler, input_sizes, result_size
from srspace.config import SamplingConfig
from srspace.errors import RestorationError
from srspace.images import Picture, read_header, read_picture, resized, write_picture
from srspace.sizes import TargetSize
from srspace.upscaler import Upscaler
from tests.pictures import picture

WIDTH, HEIGHT = 13, 9


@pytest.fixture(scope="module")
def upscaler(tiny: Path) -> Upscaler:
    return Upscaler.load(str(tiny / "x4"), modes=["mean"], device="cpu", precision="fp32")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """16 bits, and transparent in parts."""
    rng = np.random.default_rng(0)
    rgb = (0.4 + 0.2 * rng.random((HEIGHT, WIDTH, 3))).astype(np.float32)
    write_picture(Picture(rgb, rng.random((HEIGHT, WIDTH), np.float32), bit_depth=16), tmp_path / "a.png")
    return tmp_path / "a.png"


@pytest.fixture
def settings(tiny: Path) -> BatchSettings:
    sampling = SamplingConfig(samples=2)
    return BatchSettings(weights=str(tiny / "x4"), mode="mean", sampling=sampling, device="cpu", precision="fp32")


@pytest.mark.parametrize(
    ("size", "name", "expected"),
    [
        (TargetSize(scale=1), "a_x1.png", (13, 9)),
        (TargetSize(scale=1.5), "a_x1.5.png", (20, 14)),
        (TargetSize(scale=2), "a_x2.png", (26, 18)),
        (TargetSize(scale=4), "a_x4.png", (52, 36)),
        (TargetSize(scale=0.5), "a_x0.5.png", (7, 5)),
        (TargetSize(width=41), "a_41w.png", (41, 28)),
        (TargetSize(fit=(40, 20)), "a_fit40x20.png", (29, 20)),
        (TargetSize(megapixels=0.0021), "a_0.0021mp.png", (55, 38)),
    ],
)
def test_results_have_the_size_the_depth_and_the_name(source: Path, settings: BatchSettings, size, name, expected):
    (outcome,) = upscale_files(source, replace(settings, size=size))
    assert isinstance(outcome, Done), outcome.error
    result = read_picture(outcome.output)
    assert (Path(outcome.output).name, (result.width, result.height)) == (name, expected)
    assert (outcome.width, outcome.height, result.bit_depth) == (*expected, 16) and result.alpha is not None
    record, mark = outcome.record(), read_header(Path(outcome.output)).provenance.settings
    factor = size.scale or round(expected[0] / WIDTH, 4)
    assert record["scale"] == mark["scale"] == factor
    assert record["size"] == mark.get("size") == (None if size.scale == 4 else str(size))
    (again,) = upscale_files(source, replace(settings, size=size))
    assert isinstance(again, Kept) and not again.differs


def test_twice_as_large_is_the_exact_half_of_four_times(source: Path, settings: BatchSettings, upscaler: Upscaler):
    (outcome,) = upscale_files(source, replace(settings, size=TargetSize(scale=2)))
    found = read_picture(outcome.output)
    large = upscaler.upscale(read_picture(source), mode="mean", sampling=settings.sampling).picture
    expected = resized(large, 26, 18)
    assert np.abs(found.rgb - expected.rgb).max() <= 0.51 / 65535
    assert np.abs(found.alpha - expected.alpha).max() <= 0.51 / 65535


def test_a_size_below_that_of_the_picture_costs_what_the_result_costs(upscaler: Upscaler):
    given: list[tuple[int, int]] = []

    class Watching:
        scale = 4

        def upscale(self, picture: Picture, **options):
            given.append((picture.width, picture.height))
            return upscaler.upscale(picture, **options)

    large = Picture(np.full((90, 130, 3), 0.5, np.float32))
    result = SizedUpscaler(Watching(), TargetSize(width=13)).upscale(large, mode="rrdb")
    assert given == [(13, 9)] and (result.picture.width, result.picture.height) == (13, 9)


@pytest.mark.parametrize(
    ("size", "target", "scale", "expected"),
    [
        ((10, 7), (40, 28), 4, [(10, 7)]),
        ((10, 7), (80, 56), 4, [(10, 7), (20, 14)]),
        ((10, 7), (61, 43), 4, [(10, 7), (16, 11)]),
        ((10, 7), (80, 56), 2, [(10, 7), (20, 14), (40, 28)]),
        ((10, 7), (5, 4), 4, [(5, 4)]),
        ((10, 7), (10, 7), 1, [(10, 7)]),
        ((10, 7), (80, 56), 8, [(10, 7)]),
    ],
)
def test_networks_are_run_as_often_as_needed_on_no_more_pixels_than_needed(size, target, scale, expected):
    assert input_sizes(size, target, scale) == expected


def test_above_the_networks_factor_they_are_run_again(source: Path, settings: BatchSettings, upscaler: Upscaler):
    (outcome,) = upscale_files(source, replace(settings, size=TargetSize(scale=8)))
    options = {"mode": "mean", "sampling": settings.sampling}
    once = upscaler.upscale(read_picture(source), **options)
    twice = upscaler.upscale(resized(once.picture, 26, 18), **options)
    found = read_picture(outcome.output)
    assert (found.width, found.height) == (104, 72) and outcome.lr_psnr == once.lr_psnr != twice.lr_psnr
    assert np.abs(found.rgb - twice.picture.rgb).max() <= 0.51 / 65535


def test_colours_that_are_not_seen_stay_out_of_sight(upscaler: Upscaler):
    rgb = np.full((16, 16, 3), 0.5, np.float32)
    rgb[:, 8:] = (1, 0, 0)
    alpha = np.zeros((16, 16), np.float32)
    alpha[:, :8] = 1
    result = SizedUpscaler(upscaler, TargetSize(scale=0.5)).upscale(Picture(rgb, alpha), mode="rrdb").picture
    plain = SizedUpscaler(upscaler, TargetSize(scale=0.5)).upscale(Picture(np.full_like(rgb, 0.5)), mode="rrdb").picture
    assert np.abs(result.rgb - plain.rgb).max() < 1e-6


def test_candidates_have_the_size_too(source: Path, settings: BatchSettings, tmp_path: Path):
    size = TargetSize(width=30)
    (outcome,) = upscale_files(source, replace(settings, size=size, save_samples=tmp_path / "s"))
    candidates = [read_picture(path) for path in sorted((tmp_path / "s").iterdir())]
    assert [(c.width, c.height) for c in candidates] == [(30, 21)] * 2
    mean = np.mean([c.rgb for c in candidates], 0)
    assert np.abs(mean - read_picture(outcome.output).rgb).max() < 1 / 65535


def test_animations_have_the_size_in_every_frame(settings: BatchSettings, tmp_path: Path):
    from PIL import Image

    frames = [Image.new("RGB", (12, 10), (90 + 20 * i, 120, 130)) for i in range(2)]
    frames[0].save(tmp_path / "a.webp", save_all=True, append_images=frames[1:], duration=40, lossless=True)
    (outcome,) = upscale_files(tmp_path / "a.webp", replace(settings, size=TargetSize(scale=4.5)))
    assert isinstance(outcome, Done) and outcome.frames == 2
    with Image.open(outcome.output) as image:
        assert image.size == (54, 45) and image.n_frames == 2


def test_what_cannot_be_met_fails_before_any_work(settings: BatchSettings, tmp_path: Path):
    picture(tmp_path / "a.png", (100, 50))
    picture(tmp_path / "b.png", (5, 5))
    outcomes = list(upscale_files(tmp_path, replace(settings, mode="rrdb", size=TargetSize(width=100))))
    assert [type(o) for o in outcomes] == [Done, Failed]
    assert "b.png has 5x5 pixels; 100x100 would be more than 8 times as large." in str(outcomes[1].error)
    with pytest.raises(RestorationError, match=r"c\.png would have to be enlarged"):
        result_size(TargetSize(scale=2), Picture(np.zeros((3, 3, 3), np.float32)), 1, "c.png")


def test_linear_light_is_told(source: Path, settings: BatchSettings):
    size = TargetSize(scale=2, linear_light=True)
    (outcome,) = upscale_files(source, replace(settings, size=size))
    assert outcome.record()["linear_light"]
    (kept,) = upscale_files(source, replace(settings, size=replace(size, linear_light=False)))
    assert isinstance(kept, Kept) and kept.differs
