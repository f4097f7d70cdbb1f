from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import pyvips
from PIL import Image

from srspace.images import (
    Header,
    Picture,
    read_header,
    writable,
    write_picture,
)
from srspace.provenance import Provenance, source_key
from tests.pictures import deep, encoded


@pytest.mark.parametrize("format", sorted(writable()))
@pytest.mark.parametrize("bit_depth", [8, 16])
@pytest.mark.parametrize("grey", [False, True])
@pytest.mark.parametrize("transparent", [False, True])
def test_results_carry_their_mark(tmp_path: Path, format: str, bit_depth: int, grey: bool, transparent: bool):
    rgb = np.full((6, 8, 3), 0.5, np.float32)
    picture = Picture(rgb, rgb[..., 0] if transparent else None, bit_depth, grey)
    mark = Provenance(
        source_key(Path("x/b\u00fc[red].png")), {"weights": 'a"<&>\u00e9', "tau": 0.9, "n": 10, "fusion": None}
    )
    path = tmp_path / "picture"
    write_picture(picture, path, format, provenance=mark)
    assert read_header(path) == Header(8, 6, mark)
    write_picture(picture, path, format)
    assert read_header(path) == Header(8, 6)


def test_files_that_are_no_pictures_carry_no_mark(tmp_path: Path):
    (tmp_path / "a.png").write_bytes(b"hello")
    assert read_header(tmp_path / "a.png") is None and read_header(tmp_path / "missing.tif") is None


@pytest.mark.parametrize("format", ["JPEG", "WEBP", "TIFF", "PNG"])
def test_headers_tell_the_size_the_right_way_up(tmp_path: Path, format: str):
    exif = Image.Exif()
    exif[0x0112] = 6
    (tmp_path / "a").write_bytes(encoded(Image.new("RGB", (8, 6)), format, exif=exif))
    assert read_header(tmp_path / "a") == Header(6, 8)
    image = deep(np.zeros((6, 8, 2), np.uint16), "grey16")  # a kind that Pillow does not know
    image.set_type(pyvips.GValue.gint_type, "orientation", 8)
    image.write_to_file(str(tmp_path / "b.tif"))
    assert read_header(tmp_path / "b.tif") == Header(6, 8)
