from __future__ import annotations

from pathlib import Path

import pytest

from srspace.errors import ForeignFormatError, ImageError
from srspace.images import FORMATS, is_picture_path, left_out, read_picture
from srspace.images.kinds import HEAD, Foreign, recognized
from srspace.images.readers import READERS
from tests.seeds import seeds

FOREIGN = {
    b"%!PS-Adobe-3.0 EPSF-3.0\n": "PostScript",
    b"\xc5\xd0\xd3\xc6" + bytes(40): "PostScript",
    b"\n  %!PS\n": "PostScript",
    b"%PDF-1.7\n": "PDF",
    b"junk before %PDF-1.4": "PDF",
    b"8BPS\0\1" + bytes(20): "Photoshop",
    b"<svg xmlns='http://www.w3.org/2000/svg'/>": "vector drawing",
    b'\xef\xbb\xbf<?xml version="1.0"?>\n<!-- hi -->\n<svg/>': "vector drawing",
    b"<!DOCTYPE html><html>": "web page",
    b"II*\0\x10\0\0\0CR\2\0": "raw",
    b"FUJIFILMCCD-RAW 0201": "raw",
    b"\0\0\0\x18ftypcrx \0\0\0\1crx isom": "raw",
    b"IIU\0\x18\0\0\0": "raw",
    b"\0\0\0\x20ftypisom\0\0\2\0isomiso2avc1mp41": "video",
    b"\x1aE\xdf\xa3": "video",
    b"PK\3\4" + bytes(20): "archive",
    b"\0\0\1\0\1\0\x10\x10": "icon",
    b"\x76\x2f\x31\x01": "floating-point",
    b"PF\n3 2\n-1.0\n": "floating-point",
    b"II\xbc\1": "JPEG XR",
    b"DDS |\0\0\0": "texture",
    b"\xd7\xcd\xc6\x9a\0\0": "metafile",
    b"gimp xcf v011": "editor",
    b"AT&TFORM\0\0": "DjVu",
    b"SIMPLE  =                    T": "measurements",
}


@pytest.mark.parametrize(("head", "words"), FOREIGN.items(), ids=lambda v: v if isinstance(v, str) else "")
def test_what_is_not_read_is_named_and_there_is_advice(head: bytes, words: str):
    with pytest.raises(ForeignFormatError, match=rf"^it is .*{words}.*, which is not read; \w+") as caught:
        read_picture(head, name="it")
    assert caught.value.kind in str(caught.value) and caught.value.advice in str(caught.value)


def test_every_seed_is_recognized_as_what_it_is():
    endings = {suffix: name for name, f in FORMATS.items() for suffix in (*f.suffixes, *f.others)}
    for name, data in seeds().items():
        kind = recognized(data[:HEAD])
        expected = endings.get(Path(name).suffix.lower())
        if not name.endswith(("named.jpg", "named.png", ".dng")):
            assert kind == expected, name


def test_every_format_has_a_reader():
    assert set(READERS) == set(FORMATS)


@pytest.mark.parametrize("data", [b"hello", b"\0" * 100, b"\x89PNG", b"GIF", b"text of more than 18 letters"])
def test_what_is_nothing_known_is_said_to_be_that(data: bytes):
    assert recognized(data) is None
    with pytest.raises(ImageError, match=r"^it is not a picture in a known format\.$"):
        read_picture(data, name="it")


def test_raw_files_are_told_from_tiff_by_what_they_hold():
    from srspace.images.containers import tiff, tiff_writing
    from srspace.images.containers.tiff import Directory, Tree

    def file(photometric: int, nested: bool = False) -> bytes:
        tree = Tree("<", [])
        inner = Directory({0x0106: tree.short(photometric), 0x0103: tree.short(1)})
        first = Directory({0x0100: tree.short(4), 0x0101: tree.short(4), 0x00FE: tree.whole(1)}, {})
        first.children = {0x014A: [inner]} if nested else {}
        tree.chain = [first if nested else Directory(first.entries | inner.entries)]
        return tiff_writing.serialized(tree)

    for data in (file(32803), file(32803, nested=True), file(34892, nested=True)):
        assert tiff.parse(data, {}).chain
        with pytest.raises(ForeignFormatError, match="raw file"):
            read_picture(data)
    with pytest.raises(ImageError, match="damaged"):
        read_picture(file(2, nested=True), name="an ordinary TIFF without pixels")


def test_files_of_a_folder_are_read_left_out_or_none_of_our_business():
    for name in ("a.JFIF", "b.apng", "c.mpo", "d.dib", "e.pam", "f.j2k", "g.qoi"):
        assert is_picture_path(Path(name)) and left_out(Path(name)) is None
    for name, words in {
        "a.PSD": "Photoshop",
        "b.dng": "raw",
        "c.svg": "vector",
        "d.pdf": "PDF",
        "e.ico": "icon",
    }.items():
        assert not is_picture_path(Path(name)) and words in str(left_out(Path(name)))
    for name in ("notes.txt", "a", ".hidden.psd", "movie.mp4", ".x.png"):
        assert not is_picture_path(Path(name)) and left_out(Path(name)) is None
    heic = Path("x.HEIC")
    assert is_picture_path(heic) != (left_out(heic) == "pillow-heif is not installed")


def test_no_two_kinds_claim_an_ending():
    from srspace.images.kinds import FOREIGN as KINDS

    every = [s for f in FORMATS.values() for s in (*f.suffixes, *f.others)] + [s for k in KINDS for s in k.suffixes]
    assert len(every) == len(set(every)) and all(isinstance(kind, Foreign) for kind in KINDS)
