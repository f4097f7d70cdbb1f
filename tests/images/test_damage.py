"""Files that are cut short or damaged: never another picture."""

from __future__ import annotations

import random
import zlib

import numpy as np
import pytest
from PIL import Image, ImageFile

from srspace.errors import ImageError, SRSpaceError
from srspace.images import Picture, read_picture
from srspace.images.animation import read_animation
from srspace.images.containers import png
from srspace.images.containers.png import Chunk
from tests.pictures import deep, encoded
from tests.seeds import samples, seeds

SEEDS = seeds()
# The last number of a text may be cut without a trace.
WHOLE = [name for name in SEEDS if name != "plain.ppm"]


def read(data: bytes) -> Picture | None:
    try:
        return read_picture(data, name="it")
    except SRSpaceError as error:
        assert str(error).startswith("it ") and "\n" not in str(error)
        return None


@pytest.mark.parametrize("name", WHOLE)
def test_a_file_that_is_cut_short_gives_the_same_picture_or_none(name: str):
    data = SEEDS[name]
    whole = read(data)
    for length in {*np.linspace(1, len(data) - 1, 12).astype(int).tolist(), *range(len(data) - 4, len(data))}:
        part = read(data[:length])
        if part is not None:
            assert whole is not None and np.array_equal(part.rgb, whole.rgb), length - len(data)
            assert (part.alpha is None) == (whole.alpha is None)


@pytest.mark.parametrize("name", ["baseline.jpg", "grey.jpg", "restarts.jpg", "progressive.jpg", "jpg_no_eoi.jpg"])
def test_only_the_end_marker_of_a_jpeg_may_be_missing(name: str):
    data = SEEDS[name].removesuffix(b"\xff\xd9")
    picture = read(data)
    assert picture is not None and picture.warnings == ("its end marker is missing; all its pixels were there.",)
    for missing in (1, 2, 3, 20):
        assert read(data[:-missing]) is None, missing


def test_a_progressive_jpeg_without_its_last_scan_is_not_whole():
    data = SEEDS["progressive.jpg"]
    last = data.rindex(b"\xff\xda")
    assert read(data[:last]) is None


def test_fill_before_the_end_marker_is_no_damage():
    data = encoded(Image.fromarray(samples()), "JPEG")
    filled = read(data[:-2] + bytes(200) + data[-2:])
    assert filled is not None and np.array_equal(filled.rgb, read_picture(data).rgb)


def test_a_scan_header_that_leaves_out_its_coefficients_is_no_damage():
    data = SEEDS["baseline.jpg"]
    place = data.index(b"\0\x3f\0", data.index(b"\xff\xda"))
    picture, expected = read(data[:place] + b"\0\0\0" + data[place + 3 :]), read(data)
    assert picture is not None and expected is not None and np.array_equal(picture.rgb, expected.rgb)


def test_junk_in_the_header_of_a_jpeg_is_no_damage():
    data = encoded(Image.fromarray(samples()), "JPEG")
    padded = read(data[:20] + b"\0junk" + data[20:])
    assert padded is not None and np.array_equal(padded.rgb, read_picture(data).rgb)


@pytest.mark.parametrize("kind", [b"IHDR", b"PLTE", b"tRNS", b"IDAT"])
def test_a_wrong_checksum_of_what_pixels_depend_on_fails(kind: bytes):
    data = SEEDS["palette.png"]
    place = data.index(kind) + 5
    assert read(data[:place] + bytes((data[place] ^ 1,)) + data[place + 1 :]) is None


def test_a_png_with_too_few_rows_fails():
    chunks = list(png.chunks(SEEDS["rgb.png"]))
    rows = zlib.decompress(b"".join(c.data for c in chunks if c.type == b"IDAT"))
    few = zlib.compress(rows[: len(rows) // 2])
    parts = [c for c in chunks if c.type == b"IHDR"] + [Chunk(b"IDAT", few), Chunk(b"IEND", b"")]
    assert read(png.joined(parts)) is None


def test_chunks_that_programs_make_for_themselves_are_refused():
    first, *rest = png.chunks(SEEDS["rgb.png"])
    with pytest.raises(ImageError, match="a chunk 'CgBI'"):
        read_picture(png.joined([first, Chunk(b"CgBI", bytes(4)), *rest]))


@pytest.mark.parametrize("compression", ["lzw", "deflate", "none"])
@pytest.mark.parametrize("tile", [False, True])
def test_damaged_parts_of_16_bit_tiff_fail(compression: str, tile: bool):
    noise = np.random.default_rng(0).integers(0, 65536, (64, 64, 3), np.uint16)
    data = deep(noise).write_to_buffer(".tif", compression=compression, tile=tile, tile_width=16, tile_height=16)
    if compression == "none":
        assert read(data[: len(data) // 2]) is None
        return
    start = len(data) // 3
    broken = read(data[:start] + bytes(200) + data[start + 200 :])
    assert broken is None


def test_pillow_pads_no_file_even_where_it_is_told_to(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    data = SEEDS["rgb.bmp"]
    assert read(data[: len(data) // 2]) is None
    assert ImageFile.LOAD_TRUNCATED_IMAGES, "it is put back"


def test_a_damaged_frame_fails_the_whole_animation():
    for name in ("animated.gif", "animated.png", "animated.webp"):
        data = SEEDS[name]
        assert read_animation(data, "it") is not None
        try:
            cut = read_animation(data[:-30], "it")
        except SRSpaceError:
            continue
        assert cut is None and read(data[:-30]) is None, name


def test_random_bytes_behind_every_beginning_are_refused_or_read():
    rng = random.Random(0)
    for data in SEEDS.values():
        read(data[:32] + rng.randbytes(300))
