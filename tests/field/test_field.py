"""Every row of files/README.md: what comes out of a file, as other programs read it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import pyvips

from srspace.batch import BatchSettings, Done, Failed, LeftOut, Outcome, upscale_files
from srspace.images import encode_picture, read_picture, write_picture
from srspace.images.optional import is_installed
from tests.independent import avifdec, exiftool, magick, magick_samples, netpbm

pytestmark = pytest.mark.xdist_group("field")  # so that the files are upscaled once

FILES = Path(__file__).parent / "files"
REFUSED = {
    "tiff16_lzma.tif": "LZMA compression at 16 bits",
    "tiff16_damaged_strip.tif": "is damaged",
    "control_tiff8_damaged_strip.tif": "is damaged",
    "postscript_named.png": "is PostScript",
    "bmp_bitfields_10.bmp": "10 bits a sample",
}
SAID = {
    "cmyk16.tif": "without a colour profile",
    "cmyk_noicc.jpg": "without a colour profile",
    "cmyk_with_rgb_icc.jpg": "colour profile is damaged or not one of CMYK",
    "jpg_no_eoi.jpg": "end marker is missing",
    "png_badcrc_text.png": "tEXt is damaged",
    "png_exif_garbage.png": "EXIF data are damaged",
    "pngalpha_named.jpg": "transparent parts were put on white",
    "stereo.mpo": "2 pictures",
    "tiff8_unspec4.tif": "of unspecified meaning",
    "tiff16_unspec4.tif": "of unspecified meaning",
}


def settings(output: Path, **rest: object) -> BatchSettings:
    return BatchSettings(mode="rrdb", device="cpu", precision="fp32", output=output, recursive=True, **rest)


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory, repeating: Path) -> dict[str, Outcome]:
    """What became of each file, by name."""
    found = upscale_files(FILES, settings(tmp_path_factory.mktemp("field"), weights=str(repeating)))
    return {Path(outcome.input).name: outcome for outcome in found}


@pytest.fixture(scope="module")
def results(outcomes: dict[str, Outcome]) -> Callable[[str], Path]:
    def result(name: str) -> Path:
        outcome = outcomes[name]
        assert isinstance(outcome, Done), outcome
        return Path(str(outcome.output))

    return result


def as_shown(linear: np.ndarray) -> float:
    """The mean that a screen is given of a picture in linear light, in 1/255."""
    return float(255 * np.where(linear < 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055).mean())


def converted(tmp_path: Path, name: str, format: str) -> tuple[Path, tuple[str, ...]]:
    """A file in another format, not upscaled, and what was said."""
    path = tmp_path / f"{name}.{format}"
    picture = read_picture(FILES / name)
    return path, picture.warnings + write_picture(picture, path, format)


@pytest.mark.parametrize(("name", "words"), REFUSED.items())
def test_what_cannot_be_read_is_refused_in_words_and_leaves_no_file(outcomes, name: str, words: str):
    outcome = outcomes[name]
    assert isinstance(outcome, Failed) and words in str(outcome.error) and "\n" not in str(outcome.error)
    assert not Path(str(outcome.output)).exists()


def test_the_rest_comes_out_and_what_was_lost_is_said(outcomes):
    heic = {"heic_named.jpg", "IMG_1.HEIC"}
    for name, outcome in outcomes.items():
        if name in REFUSED or name == "camera.dng" or (name in heic and not is_installed("pillow_heif")):
            assert not isinstance(outcome, Done)
            continue
        assert isinstance(outcome, Done), (name, outcome)
        said = " ".join(outcome.warnings)
        assert SAID[name] in said if name in SAID else not said, (name, said)


def test_raw_files_are_named(outcomes):
    left_out = outcomes["camera.dng"]
    assert isinstance(left_out, LeftOut) and "raw file" in left_out.reason
    (alone,) = upscale_files(FILES / "camera.dng", settings(Path("unused")))
    assert isinstance(alone, Failed) and "is a camera's raw file" in str(alone.error)
    assert "darktable" in str(alone.error)


def test_display_p3_told_by_code_points_stays_told(results, tmp_path: Path):
    told = avifdec(results("avif_p3.avif"))
    assert (told["Color Primaries"], told["Transfer Char."]) == ("12", "13")
    png = results("png_cicp_p3.png")
    assert b"cICP\x0c\x0d\x00\x01" in png.read_bytes()
    assert exiftool(png)["ICC_Profile:ProfileDescription"] == "Display P3", "for programs that do not know cICP"
    for name in ("avif_p3.avif", "png_cicp_p3.png"):
        for format in ("jpeg", "tiff", "webp"):
            path, _ = converted(tmp_path, name, format)
            assert exiftool(path)["ICC_Profile:ProfileDescription"] == "Display P3"
    assert avifdec(converted(tmp_path, "png_cicp_p3.png", "avif")[0])["Color Primaries"] == "12"


def test_12_bits_are_kept_or_said(results, tmp_path: Path):
    assert avifdec(results("avif12.avif"))["Bit Depth"] == "12"
    path, said = converted(tmp_path, "avif12.avif", "png")
    assert magick(path, "%z") == "16" and not said
    samples = netpbm(path)
    assert len(np.unique(np.round(samples * 65535))) > 256
    _, said = converted(tmp_path, "avif12.avif", "webp")
    assert any("12 bits a sample were rounded to 8" in words for words in said)


def test_linear_light_told_by_gamma_stays_linear(results, tmp_path: Path):
    result = results("png_gama_linear.png")
    assert exiftool(result)["PNG:Gamma"] == 1
    assert as_shown(netpbm(result)) == pytest.approx(as_shown(netpbm(FILES / "png_gama_linear.png")), abs=2)
    path, _ = converted(tmp_path, "png_gama_linear.png", "jpeg")
    assert exiftool(path)["ICC_Profile:ProfileDescription"] == "gamma 1"


def test_adobe_rgb_told_by_exif_alone_is_tagged(results):
    told = exiftool(results("jpg_adobergb_dcf.jpg"))
    assert "Adobe RGB (1998)" in str(told["ICC_Profile:ProfileDescription"])
    assert told["InteropIFD:InteropIndex"] == "R03 - DCF option file (Adobe RGB)"


def test_transparency_of_2_bit_grey_is_kept(results):
    before = magick_samples(FILES / "png_grey2_trns.png")[..., 3]
    after = magick_samples(results("png_grey2_trns.png"))[..., 3]
    assert 0.05 < np.mean(before < 0.5) < 0.95
    assert np.mean(after < 0.5) == pytest.approx(np.mean(before < 0.5), abs=0.05)


def test_the_profile_of_jpeg_2000_is_kept(results):
    told = exiftool(results("jp2_p3icc.jp2"))
    assert str(told["ICC-header:ColorSpaceData"]).strip() == "RGB" and "P3" in str(
        told["ICC_Profile:ProfileDescription"]
    )


@pytest.mark.parametrize("format", ["webp", "avif", "jpeg", "png", "tiff"])
def test_a_profile_fits_the_channels_of_its_file(tmp_path: Path, format: str):
    path, _ = converted(tmp_path, "jpg_grey_icc.jpg", format)
    expected = "RGB" if format in ("webp", "avif") else "GRAY"
    assert str(exiftool(path)["ICC-header:ColorSpaceData"]).strip() == expected


@pytest.mark.parametrize(
    "name", ["png_icc_1.3MB_zeros.png", "png_exif_garbage.png", "png_badcrc_text.png", "cmyk_with_rgb_icc.jpg"]
)
def test_bad_metadata_do_not_cost_good_pixels(results, name: str):
    mean = magick_samples(results(name), "RGB").mean((0, 1)) * 255
    assert np.abs(mean - (134, 120, 117)).max() < 4


def test_associated_alpha_of_8_bits_is_read_as_that_of_16(tmp_path: Path):
    eight = read_picture(FILES / "tiff8_la_assoc.tif")
    image = pyvips.Image.new_from_array((np.dstack((eight.rgb[..., 0], eight.alpha)) * 65535).astype(np.uint16))
    deep = image.copy(interpretation="grey16").write_to_buffer(".tif", premultiply=True)
    sixteen = read_picture(deep)
    visible = eight.alpha > 0.2
    assert eight.grey and sixteen.grey and visible.any()
    assert np.abs(eight.alpha - sixteen.alpha).max() < 0.01
    assert np.abs(eight.rgb - sixteen.rgb)[visible].max() < 0.02


def test_16_bits_survive_a_comment(results):
    assert magick(results("ppm16_comment.ppm"), "%z") == "16"


def test_the_resolution_is_kept(results, tmp_path: Path):
    told = exiftool(results("png16_300dpi.png"))
    assert told["PNG-pHYs:PixelUnits"] == "meters" and told["PNG-pHYs:PixelsPerUnitX"] == 11811, "300 dpi"
    for format in ("tiff", "jpeg"):
        path, _ = converted(tmp_path, "png16_300dpi.png", format)
        assert magick(path, "%x").split()[0] == "300"
    for format in ("webp", "avif"):
        path, _ = converted(tmp_path, "png16_300dpi.png", format)
        assert exiftool(path)["IFD0:XResolution"] == 300


def test_every_file_of_a_folder_is_done_or_named(outcomes):
    names = {path.name for path in (FILES / "folder_ignored").iterdir()}
    assert names <= set(outcomes)
    endings = {Path(name).suffix: Path(str(outcomes[name].output)).suffix for name in names if outcomes[name].output}
    kept = {".apng": ".apng", ".jfif": ".jfif", ".jpe": ".jpe", ".pnm": ".png", ".mpo": ".jpg", ".dib": ".png"}
    assert endings.items() >= kept.items()
    animation = outcomes["anim.apng"]
    assert isinstance(animation, Done) and animation.frames == 2


def test_grey_told_as_rgb_stays_grey(results):
    samples = magick_samples(results("dither_grey_as_rgb.png"), "RGB")
    assert (samples[..., :1] == samples).all() and samples.std() > 0.05


def test_a_single_pixel_is_upscaled(results):
    assert magick(results("size_1x1.png"), "%wx%h") == "4x4"


@pytest.mark.parametrize("pair", [("tiff8_unspec4.tif", "tiff16_unspec4.tif"), ("cmyk_noicc.jpg", "cmyk16.tif")])
def test_the_same_at_8_and_16_bits_is_treated_alike(results, pair: tuple[str, str]):
    eight, sixteen = (magick_samples(results(name)) for name in pair)
    assert np.abs(eight.mean((0, 1)) - sixteen.mean((0, 1))).max() < 0.01


def test_the_clean_aperture_is_all_that_is_seen(results):
    assert avifdec(results("avif_clap.avif"))["Resolution"] == "48x32"


def test_transparency_in_a_file_called_jpg_is_kept_where_asked(outcomes, tmp_path: Path):
    path, said = converted(tmp_path, "pngalpha_named.jpg", "png")
    assert not said and magick_samples(path)[..., 3].min() < 0.1


@pytest.mark.parametrize("name", ["heic_named.jpg", "folder_ignored/IMG_1.HEIC"])
def test_heic_is_read_or_named(tmp_path: Path, name: str):
    (outcome,) = upscale_files(FILES / name, settings(tmp_path))
    if is_installed("pillow_heif"):
        assert isinstance(outcome, Done)
        mean = magick_samples(Path(str(outcome.output)), "RGB").mean((0, 1)) * 255
        assert np.abs(mean - (134, 120, 117)).max() < 4
    else:
        assert isinstance(outcome, Failed) and "is a HEIC picture; that needs pillow-heif" in str(outcome.error)


def test_what_is_written_can_be_read_by_others(results):
    """Pixels of a PNG, as netpbm reads them."""
    for name in ("a.png", "png16_300dpi.png", "flat_red.png"):
        path = results(name)
        assert np.abs(netpbm(path) - read_picture(path).rgb).max() < 1e-6
    assert encode_picture(read_picture(results("a.png")), "png").startswith(b"\x89PNG")
