"""What each reader makes of whole files: samples, depth and descriptions."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import pyvips
from PIL import Image, ImageOps

from srspace.errors import ImageError, MissingReaderError
from srspace.images import Cicp, Picture, encode_picture, read_header, read_picture
from srspace.images import optional as optional_packages
from srspace.images.containers import png, riff
from srspace.images.containers.png import Chunk
from tests.independent import magick_samples, netpbm
from tests.pictures import deep, encoded
from tests.seeds import samples, seeds

SEEDS = seeds()


def with_chunks(*extra: Chunk) -> bytes:
    first, *rest = png.chunks(encoded(Image.fromarray(samples())))
    return png.joined((first, *extra, *rest))


def eight(picture: Picture) -> np.ndarray:
    rgb = (picture.rgb * 255).round().astype(int)
    return rgb if picture.alpha is None else np.dstack((rgb, (picture.alpha * 255).round().astype(int)))


@pytest.mark.parametrize(
    "name", [n for n in SEEDS if n.endswith((".jpg", ".webp", ".bmp", ".tga", ".gif", ".jp2")) and n != "deep.jp2"]
)
def test_pixels_are_those_that_pillow_reads(tmp_path: Path, name: str):
    path = tmp_path / name
    path.write_bytes(SEEDS[name])
    try:
        picture = read_picture(path)
        with Image.open(path) as image:
            expected = ImageOps.exif_transpose(image)
            expected = np.asarray(expected.convert("RGB" if picture.alpha is None else "RGBA")).astype(int)
    except (OSError, ImageError):
        pytest.skip("one of the two refuses it")
    visible = np.ones(expected.shape[:2], bool) if picture.alpha is None else picture.alpha > 0
    assert np.abs(eight(picture) - expected)[visible].max() <= (0 if "cmyk_with" not in name else 2)


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_transparent_grey_of_few_bits(tmp_path: Path, bits: int):
    values = (np.arange(16).reshape(2, 8) % 2**bits).astype(np.uint8)
    packed = np.packbits(np.unpackbits(values[..., None], axis=2)[..., 8 - bits :].reshape(2, -1), axis=1)
    rows = b"".join(b"\0" + row.tobytes() for row in packed)
    header = struct.pack(">IIBBBBB", 8, 2, bits, 0, 0, 0, 0)
    parts = [(b"IHDR", header), (b"tRNS", b"\0\1"), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    path = tmp_path / "a.png"
    path.write_bytes(png.joined(Chunk(kind, data) for kind, data in parts))
    picture = read_picture(path)
    assert picture.grey and np.array_equal(picture.alpha == 0, values == 1)
    assert np.abs(picture.rgb[..., 0] - values / (2**bits - 1)).max() < 1e-6
    assert np.array_equal(magick_samples(path)[..., 3] < 0.5, values == 1)


@pytest.mark.parametrize("name", [n for n in SEEDS if n.endswith(".png") and "named" not in n])
def test_png_is_decoded_as_netpbm_does(tmp_path: Path, name: str):
    path = tmp_path / name
    path.write_bytes(SEEDS[name])
    picture, expected = read_picture(path), netpbm(path, "-alphapam")
    if name == "rgb.png":  # it is turned by EXIF
        expected = np.rot90(expected, -1)
    colours = expected[..., : expected.shape[2] - 1 + expected.shape[2] % 2]
    assert np.abs(picture.rgb - colours).max() < 1e-6
    if picture.alpha is not None:
        assert np.abs(picture.alpha - expected[..., -1]).max() < 1e-6


def test_how_colours_are_meant_is_read_of_png():
    colour = read_picture(with_chunks(Chunk(b"cICP", b"\x09\x10\0\1"), Chunk(b"gAMA", b"\0\0\xb1\x8f"))).colour
    assert colour.cicp == Cicp(9, 16) and colour.gamma == pytest.approx(0.45455)
    values = (31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)
    colour = read_picture(with_chunks(Chunk(b"cHRM", struct.pack(">8I", *values)), Chunk(b"sRGB", b"\1"))).colour
    assert colour.chromaticities == tuple(v / 100_000 for v in values) and colour.srgb == 1


@pytest.mark.parametrize(
    "chunk",
    [
        Chunk(b"cICP", b"\1"),
        Chunk(b"cICP", b"\x09\x10\x05\1"),
        Chunk(b"gAMA", bytes(4)),
        Chunk(b"cHRM", bytes(32)),
        Chunk(b"iCCP", b"name\0\0junk"),
        Chunk(b"pHYs", b"\1"),
        Chunk(b"zTXt", b"key\0\0junk"),
        Chunk(b"iTXt", b"key\0"),
    ],
    ids=lambda c: f"{c.type.decode()}{len(c.data)}",
)
def test_damaged_descriptions_of_png_are_left_out_and_said(chunk: Chunk):
    picture = read_picture(with_chunks(chunk))
    assert picture.warnings == (f"its chunk {chunk.type.decode()} is damaged and was left out.",)
    assert np.array_equal(eight(picture), samples())


def test_a_profile_that_swells_without_end_is_left_out():
    bomb = zlib.compress(bytes(64 * 2**20))
    picture = read_picture(with_chunks(Chunk(b"iCCP", b"name\0\0" + bomb)))
    assert picture.icc_profile is None and "iCCP is damaged" in picture.warnings[0]


def test_old_ways_to_keep_metadata_in_png_are_read():
    exif = Image.Exif()
    exif[0x0112] = 6
    raw = exif.tobytes()
    text = f"\nexif\n{len(raw):8d}\n{raw.hex()}\n"
    picture = read_picture(with_chunks(Chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(text.encode()))))
    assert picture.metadata.exif is not None and (picture.width, picture.height) == (20, 24)


@pytest.mark.parametrize(
    ("data", "rgb"),
    [
        (b"P3\n# c\n1 # c\n1\n# c\n255 # c\n1 # one\n2 3", (1, 2, 3)),
        (b"P6 1 1 255#c\n\1\2\3", (1, 2, 3)),
        (b"P2 1 1 3 1", (85, 85, 85)),
        (b"P1 2 1 01", (255, 255, 255)),
        (b"P4\n1 1\n\x80", (0, 0, 0)),
        (b"P7\n# c\nWIDTH 1\nHEIGHT 1\nDEPTH 3\nMAXVAL 255\nTUPLTYPE RGB\nENDHDR\n\1\2\3", (1, 2, 3)),
        (b"P7\nWIDTH 1\nHEIGHT 1\nDEPTH 1\nMAXVAL 1\nTUPLTYPE BLACKANDWHITE\nENDHDR\n\1", (255, 255, 255)),
    ],
)
def test_pnm_with_comments_anywhere(data: bytes, rgb: tuple[int, ...]):
    assert eight(read_picture(data))[0, 0].tolist() == list(rgb)


def test_pam_with_transparency_and_16_bits():
    data = b"P7\nWIDTH 1\nHEIGHT 1\nDEPTH 2\nMAXVAL 65535\nTUPLTYPE GRAYSCALE_ALPHA\nENDHDR\n\x80\0\x40\0"
    picture = read_picture(data)
    assert (picture.grey, picture.bit_depth) == (True, 16)
    assert (picture.rgb[0, 0, 0], picture.alpha[0, 0]) == pytest.approx((0x8000 / 65535, 0x4000 / 65535))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"P6 1 1 0\n\1\2\3", "largest value"),
        (b"P6 1 1 70000\n\1\2\3", "largest value"),
        (b"P5 1 1 15\n\x20", "larger than the largest value"),
        (b"P2 1 1 255 x", "no number"),
        (b"P6 2 2 255\n\1", "ends before"),
        (b"P6 99999 99999 255\n", "megapixels"),
        (b"P7\nWIDTH 1\nHEIGHT 1\nDEPTH 3\nMAXVAL 255\nTUPLTYPE CMYK\nENDHDR\n\1\2\3", "channels of the kind CMYK"),
        (b"P7\nWIDTH 1\nENDHDR\n", "lacks a size"),
    ],
)
def test_pnm_that_is_wrong_is_refused(data: bytes, words: str):
    with pytest.raises(ImageError, match=words):
        read_picture(data)


def test_10_and_12_bits_of_avif_are_read():
    for bits in (10, 12):
        values = np.arange(32 * 32, dtype=np.uint16).reshape(32, 32, 1).repeat(3, 2) * (2 ** (bits - 10))
        scaled = values.astype(np.uint32) * 65535 // (2**bits - 1)
        data = deep(scaled.astype(np.uint16)).heifsave_buffer(compression="av1", bitdepth=bits, lossless=True)
        picture = read_picture(data)
        assert picture.bit_depth == bits
        assert np.abs(picture.rgb * (2**bits - 1) - values).max() <= 2


def test_deep_grey_jpeg_2000_keeps_its_depth():
    grey = (samples(1)[..., 0].astype(np.uint16) * 257 + 5).astype(np.uint16)
    picture = read_picture(encoded(Image.fromarray(grey), "JPEG2000"))
    assert picture.bit_depth == 16 and np.abs(picture.rgb[..., 0] * 65535 - grey).max() < 0.5


def test_deep_colours_of_jpeg_2000_are_read_or_named(monkeypatch: pytest.MonkeyPatch):
    codecs = pytest.importorskip("imagecodecs")
    colours = samples().astype(np.uint16) * 257 + 5
    data = codecs.jpeg2k_encode(colours, level=0, reversible=True, codecformat="JP2")
    picture = read_picture(data)
    assert picture.bit_depth == 16 and np.abs(picture.rgb * 65535 - colours).max() < 0.5
    monkeypatch.setattr(optional_packages, "import_module", _missing)
    optional_packages.module.cache_clear()
    try:
        with pytest.raises(MissingReaderError, match="16 bits a sample; that needs imagecodecs"):
            read_picture(data)
    finally:
        optional_packages.module.cache_clear()


def _missing(name: str) -> None:
    raise ImportError(name)


def test_jpeg_xl_keeps_depth_and_metadata():
    pytest.importorskip("pillow_jxl")
    codecs = pytest.importorskip("imagecodecs")
    for bits in (8, 10, 12, 16):
        top = 2**bits - 1
        values = (samples().astype(np.uint32) * top // 255).astype(np.uint8 if bits == 8 else np.uint16)
        picture = read_picture(codecs.jpegxl_encode(values, lossless=True, bitspersample=bits))
        assert picture.bit_depth == bits and np.abs(picture.rgb * top - values).max() < 0.6


def test_optional_kinds_name_what_they_need(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(optional_packages, "import_module", _missing)
    optional_packages.module.cache_clear()
    try:
        for data, package in ((SEEDS["heic_named.jpg"], "pillow-heif"), (b"\xff\x0a" + bytes(30), "pillow-jxl-plugin")):
            with pytest.raises(MissingReaderError, match=rf"needs {package}.*pip install 'srspace\[formats\]'"):
                read_picture(data)
    finally:
        optional_packages.module.cache_clear()


def test_multi_page_files_say_so():
    pages = [Image.fromarray(samples()), Image.new("RGB", (4, 4)), Image.new("RGB", (4, 4))]
    picture = read_picture(encoded(pages[0], "TIFF", save_all=True, append_images=pages[1:]))
    assert picture.warnings == ("it holds 3 pages, of which the first was taken.",)
    assert np.array_equal(eight(picture), samples())


def test_12_bit_tiff_is_as_bright_as_it_should_be():
    field = Image.fromarray(samples(1)[..., 0])
    data = encoded(field, "TIFF")
    assert read_picture(data).rgb.max() == pytest.approx(samples(1).max() / 255)


def test_associated_and_straight_alpha_at_both_depths():
    straight = np.dstack((samples(), np.full((20, 24), 128, np.uint8)))
    for dtype, factor, tolerance in ((np.uint8, 1, 2.5 / 255), (np.uint16, 257, 1e-3)):
        image = pyvips.Image.new_from_array(straight.astype(dtype) * dtype(factor))
        image = image.copy(interpretation="srgb" if dtype == np.uint8 else "rgb16")
        for premultiply in (False, True):
            picture = read_picture(image.write_to_buffer(".tif", premultiply=premultiply))
            assert np.abs(picture.rgb - samples() / 255).max() < tolerance
            assert picture.alpha[0, 0] == pytest.approx(128 / 255, abs=1e-3)


def test_tga_without_alpha_bits_is_not_transparent():
    data = bytearray(encoded(Image.new("RGBA", (4, 4), (9, 8, 7, 0)), "TGA"))
    assert read_picture(bytes(data)).alpha is not None
    data[17] &= 0xF0
    picture = read_picture(bytes(data))
    assert picture.alpha is None and eight(picture)[0, 0].tolist() == [9, 8, 7]


@pytest.mark.parametrize("mode", ["RGB", "P", "L", "1", "RGBA"])
def test_a_dib_without_the_header_of_a_file(tmp_path: Path, mode: str):
    image = Image.fromarray(samples()).convert(mode)
    whole, bare = encoded(image, "BMP"), encoded(image, "DIB")
    assert bare == whole[14:]
    picture = read_picture(bare)
    assert np.array_equal(picture.rgb, read_picture(whole).rgb)
    (tmp_path / "a.dib").write_bytes(bare)
    header = read_header(tmp_path / "a.dib")
    assert header is not None and (header.width, header.height) == (24, 20)


def test_an_embedded_profile_of_bmp_is_read():
    from srspace.images.colour import profiles
    from srspace.images.colour.spaces import ADOBE_RGB

    profile = profiles.of_space(ADOBE_RGB)
    plain = encoded(Image.fromarray(samples()), "BMP")
    fields, pixels = plain[14:54], plain[54:]
    length = 124
    head = struct.pack("<I", length) + fields[4:] + bytes(length - 40)
    head = head[:56] + b"DEBM" + head[60:]
    place = length + len(pixels)
    head = head[:112] + struct.pack("<II", place, len(profile)) + head[120:]
    data = b"BM" + struct.pack("<IHHI", 14 + place + len(profile), 0, 0, 14 + length) + head + pixels + profile
    picture = read_picture(data)
    assert picture.icc_profile == profile and np.array_equal(eight(picture), samples())


@pytest.mark.parametrize("masks", [(0x3FF00000, 0xFFC00, 0x3FF), (0xFFF00000, 0xFFF00, 0xFF)])
def test_bmp_of_more_bits_is_named(masks: tuple[int, ...]):
    fields = struct.pack("<IiiHHIIiiII", 40, 2, 2, 1, 32, 3, 16, 0, 0, 0, 0)
    data = b"BM" + struct.pack("<IHHI", 82, 0, 0, 66) + fields + struct.pack("<3I", *masks) + bytes(16)
    with pytest.raises(ImageError, match=r"it has 1[02] bits a sample, which is not handled in BMP"):
        read_picture(data, name="it")


def test_kinds_that_a_library_does_not_handle_are_not_called_damaged():
    fields = struct.pack("<IiiHHIIiiII", 40, 2, 2, 1, 2, 0, 16, 0, 0, 0, 0)
    data = b"BM" + struct.pack("<IHHI", 70, 0, 0, 54) + fields + bytes(16)
    with pytest.raises(ImageError, match=r"^it is of a kind that is not handled \(Unsupported BMP pixel depth"):
        read_picture(data, name="it")


def test_neutral_pictures_are_known_by_their_pixels():
    grey = samples(1).repeat(3, axis=2)
    picture = read_picture(encoded(Image.fromarray(grey)))
    assert picture.neutral and not picture.grey
    grey[-1, -1, 2] ^= 1
    assert not read_picture(encoded(Image.fromarray(grey))).neutral


def test_the_size_of_a_canvas_is_checked_before_it_is_made():
    chunk = riff.Chunk(b"VP8X", bytes((2, 0, 0, 0)) + (16382).to_bytes(3, "little") * 2)
    with pytest.raises(ImageError, match="268 megapixels"):
        read_picture(riff.joined((chunk, riff.Chunk(b"ANIM", bytes(6)))))
    gif = bytearray(SEEDS["still.gif"])
    gif[6:10] = b"\xff\xff\xff\xff"
    with pytest.raises(ImageError, match="4295 megapixels"):
        read_picture(bytes(gif))


def test_what_libraries_in_c_say_goes_to_the_log(capfd: pytest.CaptureFixture[str]):
    for name in ("lzma.tif", "lzw.tif", "deep.png", "group4.tif"):
        data = SEEDS[name]
        for place in range(8, len(data), 37):
            try:
                read_picture(data[:place] + bytes((data[place] ^ 255,)) + data[place + 1 :])
            except ImageError:
                continue
    assert capfd.readouterr() == ("", "")


def test_a_written_picture_is_read_with_all_that_it_told():
    exif = Image.Exif()
    exif[0x010F] = "Fictive"
    source = read_picture(encoded(Image.fromarray(samples()), "PNG", exif=exif, dpi=(300, 300)))
    for format in ("png", "tiff", "jpeg", "webp", "avif"):
        again = read_picture(encode_picture(source, format))
        assert b"Fictive" in (again.metadata.exif or b"")
        assert again.metadata.dpi == pytest.approx((300, 300), rel=1e-3)
