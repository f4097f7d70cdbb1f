from __future__ import annotations

import io
import shutil
import struct
import subprocess
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from srspace.errors import ImageError
from srspace.images import Cicp, Colour, Metadata, Picture, read_header, read_picture
from srspace.images.animation import Animation, AnimationWriter, Timing, is_animated, is_animated_file, read_animation
from srspace.images.containers import gif, png
from srspace.images.containers.png import Chunk
from srspace.images.writers.gif import _image_block
from srspace.provenance import Provenance
from tests.independent import exiftool
from tests.pictures import encoded
from tests.seeds import samples

DURATIONS = [50, 70, 90, 50, 70, 90, 50, 70, 90, 110]


def moving(count: int = 10) -> list[Image.Image]:
    """A red block on a still background."""
    frames = []
    for step in range(count):
        frame = samples()
        frame[3:8, 2 * step : 2 * step + 4] = (255, 0, 0)
        frames.append(Image.fromarray(frame))
    return frames


def file(format: str, **options: object) -> bytes:
    first, *rest = moving()
    lossless = {"lossless": True} if format == "WEBP" else {}
    return encoded(first, format, save_all=True, append_images=rest, duration=DURATIONS, **lossless, **options)


def read(data: bytes) -> Animation:
    animation = read_animation(data, "it")
    assert animation is not None
    return animation


def written(animation: Animation, format: str, mark: Provenance | None = None) -> bytes:
    with AnimationWriter(format, animation.timing, mark) as writer:
        for frame in animation.frames():
            writer.add(frame)
        return writer.finish().data


@pytest.mark.parametrize(("format", "plays"), [("GIF", 4), ("PNG", 3), ("WEBP", 3)])
def test_frames_durations_and_repeats_are_read(format: str, plays: int):
    animation = read(file(format, loop=3))
    assert [d * 1000 for d in animation.timing.durations] == DURATIONS and animation.timing.plays == plays
    assert len(animation) == 10 and not animation.transparent
    for frame, expected in zip(animation.frames(), moving(), strict=True):
        tolerance = 0.12 if format == "GIF" else 1e-6  # Pillow gives each frame of a GIF a palette of its own
        assert np.abs(frame.rgb - np.asarray(expected) / 255).mean() < tolerance


@pytest.mark.parametrize("source", ["GIF", "PNG", "WEBP"])
@pytest.mark.parametrize("target", ["gif", "png", "webp"])
def test_frames_durations_and_repeats_go_from_every_format_to_every_other(source: str, target: str):
    before = read(file(source, loop=0))
    data = written(before, target)
    after = read(data)
    assert (after.timing, after.format) == (before.timing, target)
    with Image.open(io.BytesIO(data)) as image:
        assert image.n_frames == 10 and image.info["loop"] == 0
    for one, other in zip(before.frames(), after.frames(), strict=True):
        assert np.abs(one.rgb - other.rgb).mean() < (1e-6 if target == "png" else 0.1)


@pytest.mark.parametrize("plays", [0, 1, 2, 7])
def test_how_often_it_is_shown_survives(plays: int):
    timing = Timing((Fraction(1, 10),) * 10, plays)
    for format in ("gif", "png", "webp"):
        animation = replace(read(file("PNG")), timing=timing)
        assert read(written(animation, format)).timing == timing


@pytest.mark.parametrize("format", ["gif", "png", "webp"])
def test_what_stands_still_does_not_flicker(format: str):
    frames = list(read(written(read(file("PNG")), format)).frames())
    still = np.stack([frame.rgb[16:] for frame in frames])
    assert np.ptp(still, axis=0).max() * 255 < 1
    assert np.ptp(np.stack([frame.rgb for frame in frames]), axis=0).max() > 0.5, "the rest moves"


@pytest.mark.parametrize("format", ["png", "webp"])
@pytest.mark.parametrize("transparent", [False, True])
def test_frames_that_tell_their_changes_alone_are_seen_whole(format: str, transparent: bool):
    frames = [samples(4 if transparent else 3) for _ in range(4)]
    for number, frame in enumerate(frames):
        frame[2 : 6 + number, 3:9, :3] = 40 * number
        if transparent:
            frame[10:, number : number + 8, 3] = 50 * number
    frames.append(frames[-1].copy())
    with AnimationWriter(format, Timing((Fraction(1, 10),) * 5)) as writer:
        for frame in frames:
            told = frame.astype(np.float32) / 255
            writer.add(Picture(told[..., :3], told[..., 3] if transparent else None))
        data = writer.finish().data
    with Image.open(io.BytesIO(data)) as image:
        assert image.n_frames == 5
        for number, (frame, ours) in enumerate(zip(frames, read(data).frames(), strict=True)):
            image.seek(number)
            seen = np.asarray(image.convert("RGBA")).astype(int)
            clear = frame[..., 3:] == 0 if transparent else np.zeros((20, 24, 1), bool)
            off = np.abs(seen[..., :3] - frame[..., :3].astype(int)) * ~clear
            assert off.mean() <= (0 if format == "png" else 12) and off[2 : 6 + number, 3:9].mean() < 16
            assert (np.abs(ours.rgb * 255 - seen[..., :3]) * ~clear).max() < 1e-3


def test_stray_zeros_between_the_blocks_of_a_gif_are_passed_over():
    data = file("GIF")
    first = next(block.data for block in gif.blocks(data) if block.kind == gif.IMAGE)
    filled = data.replace(first, first + bytes(3))
    assert len(filled) == len(data) + 3
    for one, other in zip(read(data).frames(), read(filled).frames(), strict=True):
        assert np.array_equal(one.rgb, other.rgb)


def test_a_gif_keeps_colours_that_fit_into_one_palette():
    flat = [Image.new("RGB", (24, 20), colour) for colour in ((255, 0, 0), (0, 255, 0), (10, 20, 30))]
    data = encoded(flat[0], "PNG", save_all=True, append_images=flat[1:], duration=100)
    for frame, expected in zip(read(written(read(data), "gif")).frames(), flat, strict=True):
        assert np.abs(frame.rgb * 255 - np.asarray(expected)).max() < 3


def patch(control: int, disposal: int, place: tuple[int, int, int, int], index: int) -> bytes:
    """A frame of a GIF of one colour, with its control block."""
    left, top, width, height = place
    body = _image_block(np.full((height, width), index, np.uint8))[10:]
    control_block = b"\x21\xf9\4" + bytes((disposal << 2 | control, 10, 0, 3)) + b"\0"
    return control_block + b"\x2c" + struct.pack("<HHHHB", left, top, width, height, 0) + body


def composed() -> bytes:
    palette = bytes((255, 0, 0, 0, 255, 0, 0, 0, 255, 9, 9, 9)) + bytes(12)
    head = b"GIF89a" + struct.pack("<HHBBB", 8, 8, 0x82, 0, 0) + palette
    parts = [
        patch(0, 1, (0, 0, 8, 8), 0),  # red everywhere
        patch(1, 2, (2, 2, 4, 4), 1),  # green, cleared afterwards
        patch(1, 3, (0, 0, 4, 4), 2),  # blue, undone afterwards
        patch(1, 1, (6, 6, 2, 2), 3),  # transparent: nothing
    ]
    return head + b"".join(parts) + b"\x3b"


def test_disposal_and_transparency_are_those_that_imagemagick_composes(tmp_path: Path):
    path = tmp_path / "a.gif"
    path.write_bytes(composed())
    frames = [np.dstack((f.rgb, f.alpha)) for f in read(path.read_bytes()).frames()]
    red, green, blue, clear = (1, 0, 0, 1), (0, 1, 0, 1), (0, 0, 1, 1), (0, 0, 0, 0)
    seen = [(tuple(f[0, 0]), tuple(f[3, 3]), tuple(f[5, 5]), tuple(f[7, 7])) for f in frames]
    assert seen == [(red, red, red, red), (red, green, green, red), (blue, blue, clear, red), (red, clear, clear, red)]
    program = shutil.which("convert-im6.q16") or shutil.which("convert")
    if program is None:
        pytest.skip("ImageMagick is not installed")
    done = subprocess.run([program, str(path), "-coalesce", "-depth", "8", "RGBA:-"], capture_output=True, check=True)
    expected = np.frombuffer(done.stdout, np.uint8).reshape(-1, 8, 8, 4) / 255
    for frame, other in zip(frames, expected, strict=True):
        assert np.array_equal(frame[..., 3], other[..., 3])
        assert np.array_equal(frame[..., :3] * frame[..., 3:], other[..., :3] * other[..., 3:])


@pytest.mark.parametrize("disposal", [0, 1, 2])
@pytest.mark.parametrize("blend", [0, 1])
def test_apng_is_composed_as_its_specification_says(disposal: int, blend: int):
    whole = Image.new("RGBA", (8, 8), (200, 0, 0, 255))
    small = Image.new("RGBA", (4, 4), (0, 0, 200, 128))
    last = Image.new("RGBA", (2, 2), (0, 100, 0, 255))
    chunks = [list(png.chunks(encoded(image))) for image in (whole, small, last)]

    def control(number: int, place: tuple[int, ...], how: tuple[int, int]) -> Chunk:
        return Chunk(b"fcTL", struct.pack(">IIIIIHHBB", number, *place, 1, 10, *how))

    def data(number: int, found: list[Chunk]) -> Chunk:
        joined = b"".join(c.data for c in found if c.type == b"IDAT")
        return Chunk(b"fdAT", struct.pack(">I", number) + joined)

    parts = [
        chunks[0][0], Chunk(b"acTL", struct.pack(">II", 3, 0)), control(0, (8, 8, 0, 0), (0, 0)),
        *[c for c in chunks[0] if c.type == b"IDAT"], control(1, (4, 4, 2, 2), (disposal, blend)), data(2, chunks[1]),
        control(3, (2, 2, 6, 6), (0, 0)), data(4, chunks[2]), Chunk(b"IEND", b""),
    ]  # fmt: skip
    _, second, third = read(png.joined(parts)).frames()
    assert second.alpha is None or second.alpha[0, 0] == 1
    laid = (200 * 127 / 255, 0, 200 * 128 / 255) if blend else (0, 0, 200)
    assert np.abs(second.rgb[3, 3] * 255 - laid).max() <= 1
    after = {0: laid, 1: (0, 0, 0), 2: (200, 0, 0)}[disposal]
    assert np.abs(third.rgb[3, 3] * 255 - after).max() <= 1
    if third.alpha is not None:
        assert third.alpha[3, 3] == pytest.approx({0: 1 if blend else 128 / 255, 1: 0, 2: 1}[disposal], abs=0.01)
    assert (third.rgb[7, 7] * 255).round().tolist() == [0, 100, 0]


def test_16_bits_of_apng_are_kept():
    deep = samples().astype(np.float32) / 255 + np.float32(1 / 1000)
    picture = Picture(deep.clip(0, 1), bit_depth=16)
    with AnimationWriter("png", Timing((Fraction(1, 10),) * 2)) as writer:
        writer.add(picture)
        writer.add(replace(picture, rgb=picture.rgb[::-1].copy()))
        data = writer.finish().data
    first, second = read(data).frames()
    assert first.bit_depth == 16 and np.abs(first.rgb - picture.rgb).max() < 1e-4
    assert np.abs(second.rgb - picture.rgb[::-1]).max() < 1e-4


@pytest.mark.parametrize("format", ["gif", "png", "webp"])
@pytest.mark.parametrize("transparent", [False, True])
def test_transparency_and_the_mark_survive(tmp_path: Path, format: str, transparent: bool):
    alpha = np.zeros((20, 24), np.float32)
    alpha[5:15, 5:15] = 1
    mark = Provenance("abc", {"mode": "mean"})
    told = Metadata(xmp=None, texts=(("Comment", "hello"),))
    plain = Picture(np.full((20, 24, 3), 0.2, np.float32), alpha if transparent else None, metadata=told)
    frames = [plain, replace(plain, rgb=plain.rgb + np.float32(0.6))]
    path = tmp_path / "a"
    with AnimationWriter(format, Timing((Fraction(1, 5),) * 2, 0), mark) as writer:
        for frame in frames:
            writer.add(frame)
        path.write_bytes(writer.finish().data)
    header = read_header(path)
    assert header is not None and (header.width, header.height, header.provenance) == (24, 20, mark)
    animation = read(path.read_bytes())
    assert animation.transparent == transparent
    for frame, other in zip(frames, animation.frames(), strict=True):
        shown = slice(7, 13)
        assert np.abs(frame.rgb[shown, shown] - other.rgb[shown, shown]).max() < 0.03
        if transparent:
            assert np.array_equal(other.alpha > 0.5, alpha > 0.5)
    if format != "webp":
        assert dict(animation.first.metadata.texts)["Comment"] == "hello"
    assert exiftool(path)["XMP-srspace:Source"] == "abc"


def test_colours_are_told_once_for_all_frames():
    frame = Picture(np.full((4, 4, 3), 0.5, np.float32), colour=Colour(cicp=Cicp(12, 13)))
    for format in ("png", "webp", "gif"):
        with AnimationWriter(format, Timing((Fraction(1, 5),) * 2)) as writer:
            writer.add(frame)
            writer.add(frame)
            file = writer.finish()
        colour = read(file.data).first.colour
        assert (colour.cicp == frame.colour.cicp) == (format == "png")
        assert (colour.icc_profile is not None) == (format != "gif")
        assert len(file.warnings) == (format == "gif"), "said once, not for every frame"


def test_one_frame_is_in_memory_at_a_time():
    frames = read(file("PNG")).frames()
    assert iter(frames) is frames and next(frames).rgb.shape == (20, 24, 3)


def test_stills_are_no_animations(tmp_path: Path):
    for data in (encoded(moving()[0], "PNG"), encoded(moving()[0], "GIF"), encoded(moving()[0], "JPEG"), b"", b"junk"):
        assert not is_animated(data) and read_animation(data, "it") is None
    (tmp_path / "a.gif").write_bytes(file("GIF"))
    (tmp_path / "b.gif").write_bytes(b"")
    assert is_animated_file(tmp_path / "a.gif")
    assert not any(is_animated_file(tmp_path / name) for name in ("b.gif", "missing.gif", "."))


def test_the_first_frame_is_what_a_picture_is_read_as():
    for format in ("GIF", "PNG", "WEBP"):
        data = file(format)
        assert np.array_equal(read_picture(data).rgb, next(read(data).frames()).rgb)


def test_frames_out_of_order_are_one_sentence():
    first, *rest = png.chunks(file("PNG"))
    swapped = [first, *rest]
    places = [i for i, chunk in enumerate(swapped) if chunk.type == b"fdAT"]
    swapped[places[0]], swapped[places[1]] = swapped[places[1]], swapped[places[0]]
    with pytest.raises(ImageError, match=r"^it is damaged or cut short \(its frames are out of order\)"):
        read_animation(png.joined(swapped), "it")


@pytest.mark.parametrize("kind", [b"fcTL", b"fdAT", b"IDAT"])
def test_a_wrong_checksum_of_a_frame_is_one_sentence(kind: bytes):
    data = file("PNG")
    end = data.index(kind) + 4 + int.from_bytes(data[data.index(kind) - 4 : data.index(kind)], "big")
    damaged = data[:end] + bytes((data[end] ^ 1,)) + data[end + 1 :]
    with pytest.raises(ImageError, match=r"^it is damaged"):
        list(read(damaged).frames())
