from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from PIL import Image

from srspace.images.containers import DamagedError, tiff
from srspace.images.metadata import exif
from tests.independent import exiftool
from tests.pictures import encoded
from tests.seeds import samples


def packet() -> bytes:
    told = Image.Exif()
    told[0x0112], told[0x010F], told[0x011A], told[0x011B], told[0x0128] = 6, "Fictive", 72, 72, 2
    inner = told.get_ifd(0x8769)
    inner[0xA002], inner[0xA003], inner[0xA001] = 24, 20, 1
    inner[0x9286] = b"ASCII\0\0\0hello"
    place = told.get_ifd(0x8825)
    place[1], place[2] = "N", (48.0, 8.0, 0.0)
    return told.tobytes().removeprefix(b"Exif\0\0")


def test_a_result_is_upright_of_its_size_and_otherwise_the_same(tmp_path: Path):
    before = packet()
    after = exif.for_result(before, 96, 80, (300.0, 300.0))
    told = exif.told(exif.parse(after))
    assert (told.orientation, told.dpi) == (1, (300.0, 300.0)) and exif.told(exif.parse(before)).orientation == 6
    path = tmp_path / "a.jpg"
    path.write_bytes(encoded(Image.fromarray(samples()), "JPEG", exif=b"Exif\0\0" + after))
    shown = exiftool(path)
    assert shown["IFD0:Make"] == "Fictive" and shown["ExifIFD:UserComment"] == "hello"
    assert (shown["ExifIFD:ExifImageWidth"], shown["ExifIFD:ExifImageHeight"]) == (96, 80)
    assert shown["IFD0:XResolution"] == 300 and "48 deg 8'" in str(shown["GPS:GPSLatitude"])


def test_types_and_bytes_of_other_fields_stay():
    before, after = (exif.parse(p) for p in (packet(), exif.for_result(packet(), 1, 1, None)))
    for tree in (before, after):
        tree.chain[0].entries.pop(0x0112)
        for child in tree.chain[0].children[exif.EXIF_IFD]:
            del child.entries[0xA002], child.entries[0xA003]
    for directories in zip(*((t.chain[0], *t.chain[0].children[exif.EXIF_IFD]) for t in (before, after)), strict=True):
        one, other = ({tag: (e.type, e.data) for tag, e in d.entries.items()} for d in directories)
        assert one == other


def test_the_thumbnail_goes():
    tree = exif.parse(packet())
    data = bytearray(packet())
    thumbnail = encoded(Image.new("RGB", (8, 8)), "JPEG")
    second = len(data) + len(data) % 2
    first = int.from_bytes(data[4:8], "big" if data[:2] == b"MM" else "little")
    order = "big" if data[:2] == b"MM" else "little"
    count = int.from_bytes(data[first : first + 2], order)
    end = first + 2 + 12 * count
    data[end : end + 4] = second.to_bytes(4, order)
    data = data.ljust(second, b"\0")
    body = (2).to_bytes(2, order)
    for tag, value in ((0x0201, second + 2 + 24 + 4), (0x0202, len(thumbnail))):
        body += tag.to_bytes(2, order) + (4).to_bytes(2, order) + (1).to_bytes(4, order) + value.to_bytes(4, order)
    whole = bytes(data) + body + bytes(4) + thumbnail
    assert len(exif.parse(whole).chain) == 2 and len(tree.chain) == 1
    after = exif.for_result(whole, 1, 1, None)
    assert len(exif.parse(after).chain) == 1 and b"\xff\xd8" not in after


def test_maker_notes_keep_their_place():
    told = Image.Exif()
    told[0x010F] = "Fictive, with a name so long that it lies elsewhere"
    told.get_ifd(0x8769)[0x927C] = b"NOTES" + bytes(range(100))
    before = told.tobytes().removeprefix(b"Exif\0\0")
    after = exif.for_result(before, 9999, 9999, (300.0, 300.0))
    assert after.index(b"NOTES") == before.index(b"NOTES")
    assert exif.has_maker_notes(exif.parse(after)) and exif.told(exif.parse(after)).dpi == (300.0, 300.0)
    assert not exif.has_maker_notes(exif.parse(exif.without_maker_notes(after)))


def test_the_place_goes_when_asked():
    without = exif.without_gps(packet())
    assert without is not None and exif.GPS_IFD not in exif.parse(without).chain[0].children
    assert b"N\0\0\0" in packet() and exif.parse(without).chain[0].entries[0x010F].data == b"Fictive\0"
    told = Image.Exif()
    told.get_ifd(0x8825)[1] = "N"
    assert exif.without_gps(told.tobytes()) is None, "nothing is left"


@pytest.mark.parametrize("bad", [b"", b"garbage", b"II*\0", b"MM\0*\0\0\0\x08", b"II*\0\x08\0\0\0\xff\xff", bytes(64)])
def test_garbage_is_refused(bad: bytes):
    with pytest.raises(DamagedError):
        exif.parse(bad)


def test_a_field_that_points_nowhere_is_left_out_alone():
    data = bytearray(packet())
    tree = tiff.parse(bytes(data), {})
    entry = tree.chain[0].entries[0x010F]
    place = bytes(data).index(entry.offset.to_bytes(4, "big" if tree.order == ">" else "little"))
    data[place : place + 4] = b"\x7f\xff\xff\xff"
    damaged = exif.parse(bytes(data))
    assert damaged.damaged and 0x010F not in damaged.chain[0].entries and 0x0112 in damaged.chain[0].entries


def test_directories_that_go_in_circles_end():
    here = (8).to_bytes(4, "little")
    orientation, inner = b"\x12\1\3\0\1\0\0\0\6\0\0\0", b"\x69\x87\4\0\1\0\0\0" + here
    tree = exif.parse(b"II*\0" + here + b"\2\0" + orientation + inner + here)
    assert tree.damaged and len(tree.chain) == 1 and exif.told(tree).orientation == 6


@pytest.mark.parametrize(("space", "index", "adobe"), [(1, "R98", False), (2, None, True), (65535, "R03", True)])
def test_adobe_rgb_is_told_by_exif(space: int, index: str | None, adobe: bool):
    told = Image.Exif()
    told.get_ifd(0x8769)[0xA001] = space
    if index is not None:
        told.get_ifd(0x8769)[0xA005] = {1: index}
    data = told.tobytes()
    assert exif.told(exif.parse(data)).adobe_rgb == adobe


def test_byte_order_is_changed_for_tiff():
    for order in ("<", ">"):
        directory = exif.for_tiff(packet(), order)
        tree = tiff.Tree(order, [directory])
        inner = directory.children[exif.EXIF_IFD][0]
        assert tree.number(inner, 0xA002) == 24 and tree.number(directory, 0x0112) == 6
        assert tree.numbers(directory.children[exif.GPS_IFD][0], 2) == (48.0, 8.0, 0.0)
        assert 0x0100 not in directory.entries


def test_exiftool_has_nothing_to_complain_about(tmp_path: Path):
    path = tmp_path / "a.jpg"
    told = exif.for_result(packet(), 24, 20, (300.0, 300.0))
    path.write_bytes(encoded(Image.fromarray(samples()), "JPEG", exif=b"Exif\0\0" + told))
    exiftool(path)
    shown = subprocess.run(
        ["exiftool", "-validate", "-warning", "-a", path], capture_output=True, text=True, check=True
    )
    assert "offset" not in shown.stdout and "Error" not in shown.stdout
