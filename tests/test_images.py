from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import pyvips
from PIL import Image

from srspace.errors import ImageError, OutputError, UsageError
from srspace.images import Picture, encode_picture, read_picture, write_picture


def encoded(image: Image.Image, format: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("format", ["png", "tiff"])
@pytest.mark.parametrize("bands", [1, 3, 4])
def test_16_bit_files_survive(format: str, bands: int):
    rng = np.random.default_rng(0)
    samples = rng.integers(0, 65536, (5, 7, bands), dtype=np.uint16) if bands > 1 else rng.integers(0, 256, (5, 7, 1))
    rgb = samples[..., :3] if bands > 1 else np.repeat(samples, 3, 2)
    alpha = None if bands < 4 else samples[..., 3].astype(np.float32) / 65535
    picture = Picture((rgb / 65535).astype(np.float32), alpha, 16, bands == 1, b"not a profile" * 0 or None)
    again = read_picture(encode_picture(picture, format))
    assert (again.bit_depth, again.grey, again.alpha is None) == (16, bands == 1, alpha is None)
    assert np.abs(again.rgb - picture.rgb).max() < 1e-6


def test_bit_depth_comes_from_the_type_not_the_brightest_pixel():
    dark = pyvips.Image.new_from_array(np.full((4, 4, 3), 7, np.uint16)).copy(interpretation="rgb16")
    picture = read_picture(dark.write_to_buffer(".png", bitdepth=16))
    assert picture.bit_depth == 16
    assert picture.rgb.max() == pytest.approx(7 / 65535)


def test_grey_palette_alpha_and_one_bit():
    assert read_picture(encoded(Image.new("L", (3, 2), 9))).grey
    assert read_picture(encoded(Image.new("1", (3, 2), 1))).rgb.min() == 1
    palette = Image.new("RGB", (4, 4), (255, 0, 0)).convert("P")
    assert read_picture(encoded(palette)).rgb[0, 0].tolist() == [1, 0, 0]
    transparent = read_picture(encoded(palette, transparency=int(np.asarray(palette)[0, 0])))
    assert transparent.alpha is not None and transparent.alpha.max() == 0
    both = read_picture(encoded(Image.new("LA", (2, 2), (10, 128))))
    assert both.grey and both.alpha is not None and both.alpha[0, 0] == pytest.approx(128 / 255)
    assert Image.open(io.BytesIO(encode_picture(both, "png"))).mode == "LA"


def test_orientation_is_applied_once():
    image = Image.new("RGB", (4, 2))
    image.putpixel((0, 0), (255, 255, 255))
    exif = Image.Exif()
    exif[0x0112] = 6
    picture = read_picture(encoded(image, exif=exif))
    assert (picture.height, picture.width) == (4, 2)
    assert picture.rgb[0, 1].tolist() == [1, 1, 1]
    again = read_picture(encode_picture(picture, "png"))
    assert (again.height, again.width) == (4, 2)


def test_profiles_are_kept():
    from PIL import ImageCms

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    picture = read_picture(encoded(Image.new("RGB", (3, 3)), icc_profile=profile))
    for format in ("png", "jpeg", "webp", "tiff"):
        assert read_picture(encode_picture(picture, format)).icc_profile == profile
    deep = Picture(picture.rgb, None, 16, False, profile)
    for format in ("png", "tiff"):
        assert read_picture(encode_picture(deep, format)).icc_profile == profile


def test_cmyk_becomes_rgb():
    picture = read_picture(encoded(Image.new("CMYK", (3, 3), (0, 255, 255, 0)), "JPEG"))
    assert picture.rgb.shape == (3, 3, 3) and picture.rgb[0, 0, 0] > 0.8 > 0.3 > picture.rgb[0, 0, 1]


def test_jpeg_of_a_transparent_picture_is_on_white():
    picture = Picture(np.zeros((2, 2, 3), np.float32), np.zeros((2, 2), np.float32))
    assert read_picture(encode_picture(picture, "jpeg")).rgb.min() > 0.98


def test_bad_files_get_one_sentence(tmp_path: Path):
    whole = encoded(Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)), "JPEG")
    png16 = encode_picture(Picture(np.random.default_rng(0).random((64, 64, 3), np.float32), bit_depth=16), "png")
    for data in (b"", b"hello", whole[: len(whole) // 2], png16[: len(png16) // 2]):
        with pytest.raises(ImageError) as caught:
            read_picture(data, name="it")
        assert str(caught.value).startswith("it ") and "\n" not in str(caught.value)
    with pytest.raises(ImageError, match="megapixels"):
        read_picture(encoded(Image.new("L", (200, 200))), max_pixels=1000)
    with pytest.raises(ImageError, match="cannot be read"):
        read_picture(tmp_path / "missing.png")


def test_writing_is_all_or_nothing(tmp_path: Path):
    picture = Picture(np.zeros((2, 2, 3), np.float32))
    write_picture(picture, tmp_path / "new" / "a.png")
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["a.png"]
    with pytest.raises(UsageError, match="names no format"):
        write_picture(picture, tmp_path / "a.xyz")
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        write_picture(picture, tmp_path / "file" / "a.png")
