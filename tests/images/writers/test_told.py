"""What results tell beside their pixels, and what is said where a format has no room."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from srspace.images import Metadata, Picture, encoded, read_header, read_picture, write_picture
from srspace.images.colour import profiles
from srspace.images.colour.spaces import ADOBE_RGB
from srspace.images.containers import tiff
from srspace.images.metadata.exif import GPS_IFD, parse
from srspace.images.writers import tiff as tiff_writer
from srspace.provenance import Provenance
from tests.independent import avifdec, exiftool, magick, magick_samples
from tests.seeds import samples

MARK = Provenance("abc", {"mode": "mean", "tau": 0.9})
XMP = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:source>{}</dc:source>'
    "</rdf:Description></rdf:RDF></x:xmpmeta>"
)
IPTC = b"\x1c\x02\x19\0\3one\x1c\x02\x19\0\3two"


def exif(notes: int = 20) -> bytes:
    told = Image.Exif()
    told[0x0112], told[0x010F] = 6, "Fictive"
    told.get_ifd(0x8769)[0xA002], told.get_ifd(0x8769)[0x927C] = 24, bytes(notes)
    told.get_ifd(0x8825)[1] = "N"
    return told.tobytes().removeprefix(b"Exif\0\0")


def picture(depth: int = 8, **told: object) -> Picture:
    texts = (("Title", "A title"), ("Comment", "c"))
    metadata = Metadata(exif(), XMP.format("here").encode(), IPTC, (300.0, 240.0), texts)
    return Picture((samples() / 255).astype(np.float32), bit_depth=depth, metadata=replace(metadata, **told))


CASES = [("png", 8), ("png", 16), ("tiff", 8), ("tiff", 16), ("jpeg", 8), ("webp", 8), ("avif", 8), ("avif", 10)]


@pytest.mark.parametrize(("format", "depth"), CASES)
def test_everything_that_a_format_has_room_for_is_told(tmp_path: Path, format: str, depth: int):
    path = tmp_path / "a"
    said = write_picture(picture(depth), path, format, provenance=MARK)
    told = exiftool(path)
    assert told["IFD0:Make"] == "Fictive" and "Rotate" not in str(told.get("IFD0:Orientation"))
    assert told["IFD0:XResolution"] == 300 and told["GPS:GPSLatitudeRef"] == "North"
    assert told["XMP-dc:Source"] == "here" and told["XMP-srspace:Source"] == "abc"
    header = read_header(path)
    assert header is not None and header.provenance == MARK
    if format in ("png", "tiff", "jpeg"):
        assert told["IPTC:Keywords"] == ["one", "two"] and not said
        assert format == "png" or float(magick(path, "%x").split()[0]) == pytest.approx(300, abs=0.1)
    else:
        assert said == (f"its IPTC data were left out: {format} has no room for them.",)
    if format == "png":
        assert told["PNG:Title"] == "A title" and told["PNG-pHYs:PixelsPerUnitX"] == 11811
    if format == "jpeg":
        assert told["File:Comment"] == "c"
    assert np.abs(magick_samples(path, "RGB") - samples() / 255).mean() < 0.04


@pytest.mark.parametrize(("format", "depth"), CASES)
def test_nothing_is_told_of_a_picture_that_tells_nothing(tmp_path: Path, format: str, depth: int):
    path = tmp_path / "a"
    bare = Picture((samples() / 255).astype(np.float32), bit_depth=depth)
    assert write_picture(bare, path, format) == ()
    told = exiftool(path)
    assert not [key for key in told if key.split(":")[0].startswith(("XMP", "GPS", "IPTC", "ICC", "Photoshop"))]
    for key in ("IFD0:XResolution", "PNG-pHYs:PixelsPerUnitX"):
        if format != "avif" and not (format == "tiff" and depth == 8):
            assert key not in told, "libvips tells 25.4 dpi where nothing is known"
    again = read_picture(path)
    assert again.metadata.dpi is None or format in ("avif", "tiff")


def test_16_bit_tiff_and_png_never_say_25_4_dpi(tmp_path: Path):
    for format in ("png", "tiff"):
        write_picture(Picture(np.zeros((4, 4, 3), np.float32), bit_depth=16), tmp_path / "a", format)
        assert read_picture(tmp_path / "a").metadata.dpi is None


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({"exif": exif(65_500)}, "maker notes were left out: jpeg has no room"),
        ({"xmp": XMP.format("x" * 70_000).encode()}, "XMP data were left out: jpeg has no room"),
        ({"iptc": IPTC + bytes(70_000)}, "IPTC data were left out: jpeg has no room"),
    ],
)
def test_metadata_of_any_size_never_cost_the_picture(tmp_path: Path, told: dict, words: str):
    path = tmp_path / "a.jpg"
    said = write_picture(picture(**told), path, provenance=MARK)
    assert len(said) == 1 and words in said[0]
    header, again = read_header(path), read_picture(path)
    assert header is not None and header.provenance == MARK and again.warnings == ()
    assert (again.metadata.exif is not None) and (again.width, again.height) == (24, 20)
    assert write_picture(picture(**told), tmp_path / "a.png") == (), "png has room"


def test_a_profile_of_any_size_is_written_in_parts_or_left_out(tmp_path: Path):
    profile = profiles.of_space(ADOBE_RGB)
    large = profile + bytes(200_000)
    base = picture()
    for data, kept in ((large, True), (profile + bytes(17 * 2**20), False)):
        told = replace(base, colour=replace(base.colour, icc_profile=data))
        said = write_picture(told, tmp_path / "a.jpg")
        assert (read_picture(tmp_path / "a.jpg").icc_profile == data) == kept
        assert bool(said) != kept


def test_damaged_metadata_of_a_picture_made_in_python_are_left_out(tmp_path: Path):
    said = write_picture(picture(exif=b"garbage"), tmp_path / "a.png")
    assert said == ("its EXIF data are damaged and were left out.",)


def test_a_mark_of_an_earlier_result_is_not_carried_on(tmp_path: Path):
    write_picture(picture(), tmp_path / "a.png", provenance=MARK)
    again = read_picture(tmp_path / "a.png")
    write_picture(again, tmp_path / "b.png")
    header = read_header(tmp_path / "b.png")
    assert header is not None and header.provenance is None
    other = Provenance("def", {"mode": "rrdb"})
    write_picture(again, tmp_path / "c.png", provenance=other)
    assert read_header(tmp_path / "c.png").provenance == other
    assert exiftool(tmp_path / "c.png")["XMP-srspace:Source"] == "def"


@pytest.mark.parametrize("bits", [10, 12, 16])
def test_avif_holds_10_and_12_bits(tmp_path: Path, bits: int):
    path = tmp_path / "a.avif"
    ramp = np.linspace(0, 1, 4096, dtype=np.float32).reshape(64, 64, 1).repeat(3, 2)
    said = write_picture(Picture(ramp, bit_depth=bits), path)
    assert avifdec(path)["Bit Depth"] == str(min(bits, 12)) and len(said) == (bits == 16)
    assert np.abs(read_picture(path).rgb - ramp).max() < 0.01


def test_what_was_rounded_or_laid_on_white_is_said():
    deep = picture(16)
    assert encoded(deep, "png").warnings == () and encoded(deep, "tiff").warnings == ()
    assert "its 16 bits a sample were rounded to 8: jpeg holds no more." in encoded(deep, "jpeg").warnings
    plain = Picture(np.zeros((4, 4, 3), np.float32), np.zeros((4, 4), np.float32))
    assert encoded(plain, "jpeg").warnings == (
        "its transparent parts were put on white, because jpeg holds no transparency.",
    )
    opaque = replace(plain, alpha=np.ones((4, 4), np.float32))
    assert encoded(opaque, "jpeg").warnings == (), "nothing is lost"


def test_what_gif_loses_of_a_still_is_said():
    few = Picture(np.zeros((4, 4, 3), np.float32))
    assert encoded(few, "gif").warnings == ()
    many = Picture(np.random.default_rng(0).random((32, 32, 3), np.float32), np.full((32, 32), 0.5, np.float32))
    colours, clear = encoded(many, "gif").warnings
    assert "reduced to 255" in colours and "partly transparent" in clear


def test_tiff_of_64_bit_offsets_tells_as_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tiff_writer, "_CLASSIC", 10)
    for depth in (8, 16):
        path = tmp_path / f"{depth}.tif"
        write_picture(picture(depth), path, provenance=MARK)
        assert path.read_bytes()[2:4] == b"+\0"
        told = exiftool(path)
        assert told["IFD0:Make"] == "Fictive" and told["IPTC:Keywords"] == ["one", "two"]
        assert told["XMP-srspace:Source"] == "abc"
        again = read_picture(path)
        place = parse(again.metadata.exif or b"").chain[0].children[GPS_IFD][0]
        assert place.entries[1].data == b"N\0"
        assert np.abs(again.rgb - samples() / 255).max() < 0.01 and again.metadata.dpi == (300, 240)
        assert tiff.parse(path.read_bytes(), {}).big


def test_jpeg_xl_is_srgb_and_says_so(tmp_path: Path):
    pytest.importorskip("pillow_jxl")
    path = tmp_path / "a.jxl"
    told = picture(16)
    told = replace(told, colour=replace(told.colour, icc_profile=profiles.of_space(ADOBE_RGB)))
    said = write_picture(told, path, provenance=MARK)
    assert any("converted to sRGB" in words for words in said) and any("rounded to 8" in words for words in said)
    shown = exiftool(path)
    assert shown["IFD0:Make"] == "Fictive" and shown["XMP-dc:Source"] == "here"
    header = read_header(path)
    assert header is not None and (header.width, header.height, header.provenance) == (24, 20, MARK)
