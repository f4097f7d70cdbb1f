from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import pyvips
from PIL import Image

from srspace.errors import ImageError
from srspace.images import (
    Picture,
    encode_picture,
    read_picture,
    read_rgb8,
)
from tests.pictures import deep, encoded


@pytest.mark.parametrize(
    ("suffix", "options"),
    [
        (".png", {"bitdepth": 16, "interlace": True}),
        (".tif", {"compression": "lzw", "tile": True}),
        (".tif", {"compression": "deflate", "predictor": "horizontal"}),
        (".tif", {"bigtiff": True}),
    ],
)
@pytest.mark.parametrize("bands", [1, 2, 3, 4])
def test_16_bit_files_of_other_makes_are_read(suffix: str, options: dict, bands: int):
    samples = np.random.default_rng(0).integers(0, 65536, (9, 6, bands), dtype=np.uint16)
    data = deep(samples, "grey16" if bands < 3 else "rgb16").write_to_buffer(suffix, **options)
    picture = read_picture(data)
    assert picture.bit_depth == 16 and picture.grey == (bands < 3)
    assert np.abs(picture.rgb[..., 0] - samples[..., 0] / 65535).max() < 1e-6
    if bands in (2, 4):
        assert np.abs(picture.alpha - samples[..., -1] / 65535).max() < 1e-6


def test_premultiplied_tiff_becomes_straight():
    samples = np.dstack((np.full((4, 4, 3), 40000), np.full((4, 4, 1), 32768))).astype(np.uint16)
    picture = read_picture(deep(samples).write_to_buffer(".tif", premultiply=True))
    assert picture.rgb[0, 0, 0] == pytest.approx(40000 / 65535, abs=1e-4)


@pytest.mark.parametrize(
    ("data", "rgb"),
    [
        (b"P6 1 1 65535\n" + bytes([117, 48, 0, 200, 0, 7]), (30000, 200, 7)),
        (b"P5\n# a comment\n1 1\n65535\n" + bytes([0, 200]), (200, 200, 200)),
        (b"P2 1 1 65535\n300\n", (300, 300, 300)),
    ],
)
def test_16_bit_pnm(data: bytes, rgb: tuple[int, ...]):
    picture = read_picture(data)
    assert picture.bit_depth == 16
    assert (picture.rgb[0, 0] * 65535).round().astype(int).tolist() == list(rgb)


@pytest.mark.parametrize(
    ("samples", "words"),
    [
        (np.full((4, 4, 3), 0.5, np.float32), "floating-point samples"),
        (np.full((4, 4, 1), 5, np.uint32), "32-bit samples"),
        (np.full((4, 4, 1), -5, np.int16), "signed 16-bit samples"),
        (np.full((4, 4, 5), 5, np.uint16), "5 channels"),
    ],
)
def test_kinds_of_tiff_that_are_not_handled_are_named(samples: np.ndarray, words: str):
    with pytest.raises(ImageError, match=f"^it has .*{words}"):
        read_picture(pyvips.Image.new_from_array(samples).write_to_buffer(".tif"), name="it")


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "deep.png", "deep.tif"])
def test_every_orientation_is_applied_once(format: str):
    white_corner = {1: "LT", 2: "RT", 3: "RB", 4: "LB", 5: "LT", 6: "RT", 7: "RB", 8: "LB"}
    for orientation, corner in white_corner.items():
        samples = np.zeros((16, 32, 3), np.uint8)
        samples[:8, :8] = 255
        if format.startswith("deep"):
            image = deep(samples.astype(np.uint16) * 257)
            image.set_type(pyvips.GValue.gint_type, "orientation", orientation)
            picture = read_picture(image.write_to_buffer(format.removeprefix("deep")))
            assert picture.bit_depth == 16
        else:
            exif = Image.Exif()
            exif[0x0112] = orientation
            picture = read_picture(encoded(Image.fromarray(samples), format, exif=exif))
        again = read_picture(encode_picture(picture, "tiff"))
        assert (again.width, again.height) == ((32, 16) if orientation < 5 else (16, 32))
        y, x = np.argwhere(again.rgb[..., 0] > 0.5).mean(0)
        assert ("L" if x < again.width / 2 else "R") + ("T" if y < again.height / 2 else "B") == corner


def test_animations_give_their_first_frame():
    first, second = Image.new("RGB", (8, 6), (200, 100, 50)), Image.new("RGB", (8, 6))
    for format, options in {"PNG": {}, "WEBP": {"lossless": True}, "GIF": {}}.items():
        picture = read_picture(encoded(first, format, save_all=True, append_images=[second], **options))
        assert np.abs(picture.rgb * 255 - (200, 100, 50)).max() < 4 and picture.rgb.shape == (6, 8, 3)


def test_a_grey_palette_with_a_colour_profile_stays_in_colour():
    from PIL import ImageCms

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    palette = Image.new("L", (4, 4), 90).convert("P")
    assert read_picture(encoded(palette)).grey
    assert not read_picture(encoded(palette, icc_profile=profile)).grey


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


def test_cmyk_becomes_rgb():
    picture = read_picture(encoded(Image.new("CMYK", (3, 3), (0, 255, 255, 0)), "JPEG"))
    assert picture.rgb.shape == (3, 3, 3) and picture.rgb[0, 0, 0] > 0.8 > 0.3 > picture.rgb[0, 0, 1]


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


def test_8_bit_rgb_keeps_bytes_rounds_deeper_samples_and_turns_the_right_way_up(tmp_path: Path):
    rng = np.random.default_rng(0)
    samples = rng.integers(0, 256, (6, 8, 3), np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(samples).save(tmp_path / "turned.png", exif=exif)
    assert np.array_equal(read_rgb8(tmp_path / "turned.png"), np.rot90(samples, -1))
    every = np.arange(65536, dtype=np.uint16).reshape(256, 256, 1)
    for data in (
        deep(every, "grey16").write_to_buffer(".png", bitdepth=16),
        deep(every, "grey16").write_to_buffer(".tif"),
    ):
        rounded = read_rgb8(data)
        assert rounded.dtype == np.uint8 and rounded.flags.writeable
        assert np.array_equal(rounded, np.repeat((every.astype(int) * 510 + 65535) // 131070, 3, axis=2))
    grey = rng.integers(0, 256, (6, 8), np.uint8)
    assert np.array_equal(read_rgb8(encoded(Image.fromarray(grey))), np.repeat(grey[..., None], 3, axis=2))
    with pytest.raises(ImageError, match=r"^it is not a picture"):
        read_rgb8(b"hello", name="it")


def test_8_bit_rgb_shows_transparent_parts_on_white():
    hidden = np.dstack((np.zeros((2, 2, 3), np.uint8), np.array([[0, 255], [128, 64]], np.uint8)))
    assert read_rgb8(encoded(Image.fromarray(hidden)))[..., 0].tolist() == [[255, 0], [127, 191]]
