"""Lossless formats give back whatever a picture holds; any bytes at all end in a result or an error."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from srspace.errors import ImageError
from srspace.images import Metadata, Picture, encode_picture, read_picture, read_rgb8
from srspace.images.animation import read_animation
from srspace.images.containers import DamagedError, boxes, gif, jpeg, jxl, png, riff, tiff, tiff_writing
from srspace.images.containers.heif import properties
from srspace.images.containers.png import Chunk
from srspace.images.containers.tiff import SIZES, Directory, Entry, Tree
from srspace.images.metadata import exif, photoshop, xmp

QUICK = settings(max_examples=60, deadline=None)
letters = st.text(st.characters(codec="utf-8", exclude_characters="\0", exclude_categories=["Cs"]), max_size=200)


@st.composite
def pictures(draw: st.DrawFn) -> Picture:
    depth, grey = draw(st.sampled_from((8, 16))), draw(st.booleans())
    shape = draw(st.tuples(st.integers(1, 9), st.integers(1, 9)))
    whole = arrays(np.uint16, (*shape, 1 if grey else 3), elements=st.integers(0, 2**depth - 1))
    rgb = (draw(whole) / (2**depth - 1)).astype(np.float32)
    alpha = draw(st.none() | arrays(np.uint16, shape, elements=st.integers(0, 2**depth - 1)))
    texts = draw(st.lists(st.tuples(st.from_regex(r"[A-Za-z]{1,20}", fullmatch=True), letters), max_size=3))
    dpi = draw(st.none() | st.tuples(st.integers(1, 2400), st.integers(1, 2400)))
    return Picture(
        rgb=np.repeat(rgb, 3, axis=2) if grey else rgb,
        alpha=None if alpha is None else (alpha / (2**depth - 1)).astype(np.float32),
        bit_depth=depth,
        grey=grey,
        metadata=Metadata(dpi=dpi, texts=tuple(texts)),
    )


@QUICK
@given(pictures(), st.sampled_from(("png", "tiff")))
def test_lossless_formats_give_pictures_back(picture: Picture, format: str):
    again = read_picture(encode_picture(picture, format))
    assert np.abs(again.rgb - picture.rgb).max() < 1e-6
    assert (again.grey, again.bit_depth) == (picture.grey, picture.bit_depth)
    assert (again.alpha is None) == (picture.alpha is None)
    if picture.alpha is not None:
        assert np.abs(again.alpha - picture.alpha).max() < 1e-6
    if picture.metadata.dpi is not None:
        assert np.abs(np.subtract(again.metadata.dpi, picture.metadata.dpi)).max() < 0.02
    if format == "png":
        assert again.metadata.texts == picture.metadata.texts
    assert read_rgb8(encode_picture(picture, format)).shape == picture.rgb.shape


@QUICK
@given(pictures(), st.sampled_from(("jpeg", "webp", "avif", "gif")))
def test_other_formats_give_pictures_of_the_same_size(picture: Picture, format: str):
    again = read_picture(encode_picture(picture, format))
    assert again.rgb.shape == picture.rgb.shape and again.warnings == ()


entries = st.dictionaries(
    st.integers(1, 65_535).filter(lambda tag: tag not in exif.CHILDREN),
    st.sampled_from((1, 2, 3, 4, 5, 7, 10, 12)).flatmap(
        lambda kind: st.lists(st.binary(min_size=SIZES[kind], max_size=SIZES[kind]), max_size=10).map(
            lambda values: Entry(kind, b"".join(values))
        )
    ),
    max_size=12,
)


@QUICK
@given(entries, entries, entries, st.sampled_from("<>"))
def test_directories_are_written_as_they_are_read(first: dict, inner: dict, place: dict, order: str):
    children = {exif.EXIF_IFD: [Directory(inner)], exif.GPS_IFD: [Directory(place)]}
    data = tiff_writing.serialized(Tree(order, [Directory(first, children)]))
    tree = tiff.parse(data, exif.CHILDREN)
    found = tree.chain[0]
    assert not tree.damaged and found.children.keys() == children.keys()
    read = found, found.children[exif.EXIF_IFD][0], found.children[exif.GPS_IFD][0]
    for directory, written in zip(read, (first, inner, place), strict=True):
        told = {tag: (entry.type, entry.data) for tag, entry in directory.entries.items()}
        assert told == {tag: (entry.type, entry.data) for tag, entry in written.items()}
    turned = tiff_writing.reordered(found, order, "<" if order == ">" else ">")
    back = tiff_writing.reordered(turned, "<" if order == ">" else ">", order)
    assert {t: e.data for t, e in back.entries.items()} == {t: e.data for t, e in first.items()}


@QUICK
@given(
    st.binary(max_size=400),
    st.sampled_from((b"", b"II*\0\x08\0\0\0", b"MM\0*\0\0\0\x08", b"II+\0\x08\0\0\0\x10" + bytes(7))),
)
def test_exif_of_any_bytes_is_read_or_refused(data: bytes, head: bytes):
    try:
        tree = exif.parse(head + data)
    except DamagedError:
        return
    exif.told(tree)
    for packet in (exif.for_result(head + data, 9, 9, (72, 72)), exif.without_maker_notes(head + data)):
        exif.parse(packet)
    exif.for_tiff(head + data, "<")
    exif.of_tiff(tree)


@QUICK
@given(st.binary(max_size=300))
def test_parsers_of_any_bytes_end(data: bytes):
    for parse, head in (
        (lambda d: list(png.chunks(d)), png.SIGNATURE),
        (jpeg.parse, b"\xff\xd8\xff"),
        (lambda d: list(riff.chunks(d)), b"RIFF"),
        (lambda d: list(gif.blocks(d)), b"GIF89a"),
        (jxl.header, b"\xff\x0a"),
        (lambda d: list(boxes.boxes(d)), b""),
        (properties, b"\0\0\0\x20ftypavif"),
        (photoshop.iptc_of, b"8BIM\4\4\0\0"),
        (xmp.sound, b"<x>"),
    ):
        try:
            parse(head + data)
        except DamagedError:
            continue


@QUICK
@given(st.binary(max_size=60), letters)
def test_chunks_and_texts_are_read_as_they_were_written(data: bytes, text: str):
    chunks = [Chunk(b"IHDR", bytes(13)), Chunk(b"abCd", data), png.text_chunk("Key", text), Chunk(b"IEND", b"")]
    again = list(png.chunks(png.joined(chunks)))
    assert [(c.type, c.data, c.sound) for c in again] == [(c.type, c.data, True) for c in chunks]
    assert png.joined(again) == png.joined(chunks) and png.text(again[2]) == ("Key", text)


@QUICK
@given(
    st.binary(max_size=500),
    st.sampled_from((png.SIGNATURE + b"\0\0\0\rIHDR", b"GIF89a", b"RIFF\xff\0\0\0WEBP", b"BM", b"P6 ", b"")),
)
def test_any_bytes_are_a_picture_or_a_sentence(data: bytes, head: bytes):
    try:
        read_picture(head + data, name="it", max_pixels=10_000)
        read_animation(head + data, "it", 10_000)
    except ImageError as error:
        assert str(error).startswith("it ") and "\n" not in str(error)
