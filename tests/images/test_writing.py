from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from srspace.errors import OutputError, UsageError
from srspace.images import (
    Colour,
    Picture,
    encode_picture,
    read_picture,
    write_picture,
)
from srspace.provenance import Provenance
from tests.pictures import encoded


@pytest.mark.parametrize("format", ["png", "tiff"])
@pytest.mark.parametrize("bands", [1, 2, 3, 4])
def test_16_bit_files_survive(format: str, bands: int):
    rng = np.random.default_rng(0)
    samples = rng.integers(0, 65536 if bands > 2 else 256, (5, 7, bands), dtype=np.uint16)
    grey, transparent = bands < 3, bands in (2, 4)
    rgb = np.repeat(samples[..., :1], 3, 2) if grey else samples[..., :3]
    alpha = samples[..., -1].astype(np.float32) / 65535 if transparent else None
    picture = Picture((rgb / 65535).astype(np.float32), alpha, 16, grey)
    again = read_picture(encode_picture(picture, format, provenance=Provenance("")))
    assert (again.bit_depth, again.grey, again.alpha is None) == (16, grey, alpha is None)
    assert np.abs(again.rgb - picture.rgb).max() < 1e-6
    if alpha is not None:
        assert np.abs(again.alpha - alpha).max() < 1e-6


def test_a_format_that_is_too_small_is_refused_before_encoding():
    with pytest.raises(OutputError, match="webp holds at most 16383 pixels"):
        encode_picture(Picture(np.zeros((1, 16384, 3), np.float32)), "webp")


def test_profiles_are_kept():
    from PIL import ImageCms

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    picture = read_picture(encoded(Image.new("RGB", (3, 3)), icc_profile=profile))
    for format in ("png", "jpeg", "webp", "tiff"):
        assert read_picture(encode_picture(picture, format)).icc_profile == profile
    deep = Picture(picture.rgb, None, 16, False, Colour(profile))
    for format in ("png", "tiff"):
        assert read_picture(encode_picture(deep, format)).icc_profile == profile


def test_jpeg_of_a_transparent_picture_is_on_white():
    picture = Picture(np.zeros((2, 2, 3), np.float32), np.zeros((2, 2), np.float32))
    assert read_picture(encode_picture(picture, "jpeg")).rgb.min() > 0.98


def test_writing_is_all_or_nothing(tmp_path: Path):
    picture = Picture(np.zeros((2, 2, 3), np.float32))
    write_picture(picture, tmp_path / "new" / "a.png")
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["a.png"]
    with pytest.raises(UsageError, match="names no format"):
        write_picture(picture, tmp_path / "a.xyz")
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        write_picture(picture, tmp_path / "file" / "a.png")
