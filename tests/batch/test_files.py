"""Where reading and writing meet in a batch: warnings, metadata, files that are left out, pipes and animations."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from srspace.batch import BatchSettings, Done, Failed, Kept, LeftOut, Skipped, upscale_files
from srspace.config import SamplingConfig
from srspace.errors import AnimationError, NoPictureError, UsageError
from srspace.images import Metadata, Picture, read_header, read_picture, write_picture
from srspace.images.animation import read_animation
from srspace.sampling import defects
from tests.pictures import encoded, picture
from tests.seeds import samples, seeds

SEEDS = seeds()


@pytest.fixture
def settings(tiny: Path, tmp_path: Path) -> BatchSettings:
    return BatchSettings(weights=str(tiny / "x4"), mode="rrdb", output=tmp_path / "out", device="cpu")


def written(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes(SEEDS[name])
    return folder


def told_picture(path: Path) -> Path:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "Fictive"
    exif.get_ifd(0x8825)[1] = "N"
    xmp = (
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        b'<rdf:Description rdf:about="" xmlns:exif="http://ns.adobe.com/exif/1.0/" exif:GPSLatitude="48,8N"/>'
        b"</rdf:RDF></x:xmpmeta>"
    )
    path.write_bytes(encoded(Image.fromarray(samples()), "JPEG", exif=exif, xmp=xmp, dpi=(300, 300), comment=b"hi"))
    return path


def only(paths: object, settings: BatchSettings) -> Done:
    (outcome,) = upscale_files(paths, settings)
    assert isinstance(outcome, Done), outcome
    return outcome


def result(outcome: Done) -> Picture:
    return read_picture(str(outcome.output))


def test_metadata_are_carried_over_and_left_out_when_asked(tmp_path: Path, settings: BatchSettings):
    source = told_picture(tmp_path / "a.jpg")
    whole = result(only(source, settings)).metadata
    assert b"Fictive" in (whole.exif or b"") and b"GPSLatitude" in (whole.xmp or b"") and whole.dpi == (300, 300)
    assert whole.texts == (("Comment", "hi"),)
    somewhere = result(only(source, replace(settings, strip_gps=True, overwrite=True))).metadata
    assert b"Fictive" in (somewhere.exif or b"") and somewhere.dpi == (300, 300)
    assert b"GPSLatitude" not in (somewhere.xmp or b"") and b"N\0\0\0" not in (somewhere.exif or b"")
    done = only(source, replace(settings, strip=True, overwrite=True))
    assert result(done).metadata == Metadata()
    header = read_header(Path(str(done.output)))
    assert header is not None and header.provenance is not None, "the mark is no metadata of the picture"
    assert (header.width, header.height) == (80, 96)


def test_the_mark_stands_beside_foreign_xmp_and_tells_earlier_results(tmp_path: Path, settings: BatchSettings):
    told_picture(tmp_path / "a.jpg")
    beside = replace(settings, output=None)
    assert [type(o) for o in upscale_files(tmp_path, beside)] == [Done]
    assert [type(o) for o in upscale_files(tmp_path, beside)] == [Kept, Skipped]


def test_warnings_of_reading_and_writing_are_in_the_outcome(tmp_path: Path, settings: BatchSettings):
    source = tmp_path / "a.tif"
    deep = Picture((samples() / 255).astype(np.float32), bit_depth=16)
    write_picture(deep, source)
    assert only(source, settings).warnings == ()
    done = only(source, replace(settings, format="jpeg"))
    assert done.warnings == ("its 16 bits a sample were rounded to 8: jpeg holds no more.",)
    assert done.record()["warnings"] == list(done.warnings) and done.record()["frames"] == 1
    (tmp_path / "b.jpg").write_bytes(SEEDS["jpg_no_eoi.jpg"])
    assert "end marker" in only(tmp_path / "b.jpg", settings).warnings[0]


def test_files_that_are_not_read_are_left_out_by_name(tmp_path: Path, settings: BatchSettings):
    folder = tmp_path / "in"
    picture(folder / "a.png")
    for name in ("b.psd", "c.DNG", "notes.txt", ".hidden.psd", "d.svg"):
        (folder / name).write_bytes(b"anything")
    outcomes = {Path(o.input).name: o for o in upscale_files(folder, settings)}
    assert {name: type(o) for name, o in outcomes.items()} == {
        "a.png": Done, "b.psd": LeftOut, "c.DNG": LeftOut, "d.svg": LeftOut
    }  # fmt: skip
    record = outcomes["b.psd"].record()
    assert (record["status"], record["output"]) == ("left_out", None) and "Photoshop" in record["error"]
    assert list(record) == list(outcomes["a.png"].record())
    only_that = tmp_path / "only"
    only_that.mkdir()
    (only_that / "b.psd").write_bytes(b"8BPS")
    with pytest.raises(NoPictureError, match=r"no pictures in .* that can be read \(left out: b.psd\)"):
        upscale_files(only_that, settings)
    (alone,) = upscale_files(folder / "b.psd", settings)
    assert isinstance(alone, Failed), "named by the user, it is tried"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.jfif", "a_x4.jfif"),
        ("a.jpe", "a_x4.jpe"),
        ("a.mpo", "a_x4.jpg"),
        ("a.dib", "a_x4.png"),
        ("a.pnm", "a_x4.png"),
    ],
)
def test_results_are_named_after_what_they_are(tmp_path: Path, settings: BatchSettings, name: str, expected: str):
    kind = {"a.dib": "rgb.bmp", "a.pnm": "binary.ppm"}.get(name, "baseline.jpg")
    (tmp_path / name).write_bytes(SEEDS[kind])
    assert Path(str(only(tmp_path / name, settings).output)).name == expected


def test_a_pipe_goes_to_standard_output_or_where_it_is_told(tmp_path: Path, settings: BatchSettings, capfdbinary):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    def filled() -> Path:
        if os.fork() == 0:
            pipe.write_bytes(SEEDS["rgba.png"])
            os._exit(0)
        return pipe

    done = only(filled(), replace(settings, output=None))
    assert (done.input, done.output) == (str(pipe), "-")
    (tmp_path / "shown.png").write_bytes(capfdbinary.readouterr().out)
    assert read_picture(tmp_path / "shown.png").width == 96
    done = only(filled(), replace(settings, output=tmp_path / "named.png"))
    assert read_header(tmp_path / "named.png").provenance.source == "", "its name says nothing"
    for paths, output, words in (
        ([pipe, picture(tmp_path / "a.png")], tmp_path / "out", "is a pipe or device and names no result"),
        ([pipe], tmp_path, "names no result, which needs a file"),
    ):
        with pytest.raises(UsageError, match=words):
            upscale_files(paths, replace(settings, output=output))


@pytest.mark.parametrize("name", ["animated.gif", "animated.png", "animated.webp"])
def test_animations_stay_what_they_are(tmp_path: Path, settings: BatchSettings, name: str):
    folder = written(tmp_path / "in", name)
    seen = []
    outcomes = list(upscale_files(folder, settings, lambda p: seen.append(p.share)))
    done = outcomes[0]
    assert isinstance(done, Done) and done.frames == 3 and (done.width, done.height) == (96, 80)
    assert Path(str(done.output)).suffix == Path(name).suffix and done.seconds > 0
    before = read_animation(SEEDS[name], name)
    after = read_animation(Path(str(done.output)).read_bytes(), name)
    assert before is not None and after is not None and after.timing == before.timing
    assert seen == sorted(seen) and seen[0] == 0 and seen[-1] == 1 and any(0 < share < 1 for share in seen)
    assert [type(o) for o in upscale_files(folder, settings)] == [Kept]


@pytest.mark.parametrize("mode", ["mean", "sample"])
def test_every_frame_has_the_same_latents(tmp_path: Path, settings: BatchSettings, mode: str):
    still = Image.fromarray(samples())
    source = tmp_path / "a.png"
    moved = samples()
    moved[:3, :3] = 255
    source.write_bytes(encoded(still, "PNG", save_all=True, append_images=[Image.fromarray(moved), still], duration=50))
    drawn = replace(settings, mode=mode, sampling=SamplingConfig(samples=2, seed=3))
    animation = read_animation(Path(str(only(source, drawn).output)).read_bytes(), "it")
    assert animation is not None and len(animation) == 3
    first, second, third = animation.frames()
    assert np.array_equal(first.rgb, third.rgb) and not np.array_equal(first.rgb, second.rgb)
    single = tmp_path / "b.png"
    single.write_bytes(encoded(still, "PNG"))
    assert np.array_equal(first.rgb, result(only(single, drawn)).rgb)


def test_a_candidate_that_breaks_in_one_frame_is_replaced_in_all(
    tmp_path: Path, settings: BatchSettings, monkeypatch: pytest.MonkeyPatch
):
    stills = [Image.fromarray(samples() // 16 + 120) for _ in range(3)]
    stills[1].putpixel((0, 0), (140, 120, 120))
    source = tmp_path / "a.png"
    source.write_bytes(encoded(stills[0], "PNG", save_all=True, append_images=stills[1:], duration=50))
    drawn = replace(settings, mode="sample", sampling=SamplingConfig(seed=3))
    whole, calls = only(source, drawn), []

    def once(*row: float) -> str | None:
        calls.append(row)
        return "exploded" if len(calls) == 2 else described(*row)

    described = defects.described
    monkeypatch.setattr(defects, "described", once)
    done = only(source, replace(drawn, overwrite=True))
    assert [(r.index, r.attempts) for r in done.redraws] == [(0, 1)] and whole.redraws == ()
    animation = read_animation(Path(str(done.output)).read_bytes(), "it")
    assert animation is not None
    first, _, third = animation.frames()
    assert np.array_equal(first.rgb, third.rgb)


def test_the_first_frame_alone(tmp_path: Path, settings: BatchSettings):
    folder = written(tmp_path / "in", "animated.gif", "animated.webp", "still.gif")
    found = [Path(str(o.output)).name for o in upscale_files(folder, replace(settings, first_frame=True))]
    assert found == ["animated_x4.png", "animated_x4.webp", "still_x4.png"]
    for name in found:
        assert read_animation((tmp_path / "out" / name).read_bytes(), name) is None


def test_an_animation_in_a_format_without_frames_says_so(tmp_path: Path, settings: BatchSettings):
    folder = written(tmp_path / "in", "animated.gif")
    done = only(folder, replace(settings, format="jpeg"))
    assert done.frames == 1
    assert "of its 3 frames the first was taken, because jpeg holds no animations." in done.warnings


def test_candidates_of_animations_are_not_saved(tmp_path: Path, settings: BatchSettings):
    folder = written(tmp_path / "in", "animated.gif")
    asked = replace(settings, mode="sample", save_samples=tmp_path / "s")
    (outcome,) = upscale_files(folder, asked)
    assert isinstance(outcome, Failed) and isinstance(outcome.error, AnimationError)
    assert not (tmp_path / "s").exists() and not list((tmp_path / "out").glob("*"))
    assert isinstance(next(upscale_files(folder, replace(asked, first_frame=True))), Done)


def test_a_damaged_frame_is_found_before_any_work(tmp_path: Path, settings: BatchSettings, monkeypatch):
    from srspace.upscaler import Upscaler

    monkeypatch.setattr(Upscaler, "upscale", lambda *_, **__: pytest.fail("upscaled for nothing"))
    data = SEEDS["animated.png"]
    place = data.rindex(b"fdAT") + 20
    (tmp_path / "a.png").write_bytes(data[:place] + bytes((data[place] ^ 1,)) + data[place + 1 :])
    (outcome,) = upscale_files(tmp_path / "a.png", settings)
    assert isinstance(outcome, Failed) and "is damaged" in str(outcome.error)
    assert not (tmp_path / "out").exists()


def test_neutral_pictures_stay_neutral(tmp_path: Path, settings: BatchSettings):
    grey = np.random.default_rng(0).integers(0, 2, (12, 12, 1), np.uint8).repeat(3, 2) * 255
    source = tmp_path / "a.png"
    for format in ("PNG", "WEBP"):
        source.write_bytes(encoded(Image.fromarray(grey), format, **({"lossless": True} if format == "WEBP" else {})))
        rgb = result(only(source, replace(settings, overwrite=True))).rgb
        assert (rgb == rgb[..., :1]).all() and rgb.std() > 0
    frames = [Image.fromarray(grey), Image.fromarray(255 - grey)]
    source.write_bytes(encoded(frames[0], "PNG", save_all=True, append_images=frames[1:]))
    animation = read_animation(Path(str(only(source, replace(settings, overwrite=True)).output)).read_bytes(), "it")
    assert animation is not None and all((f.rgb == f.rgb[..., :1]).all() for f in animation.frames())


def test_no_file_stands_outside_of_the_output_folder(tmp_path: Path, settings: BatchSettings):
    import random

    from tests.fuzz_files import damaged

    folder = tmp_path / "in"
    folder.mkdir()
    names, whole = [*SEEDS], [*SEEDS.values()]
    for number in range(40):
        rng = random.Random(number)
        name = rng.choice(names)
        (folder / f"{number}_{name}").write_bytes(damaged(SEEDS[name], rng, whole) if number % 4 else SEEDS[name])
    before = {p: p.read_bytes() for p in folder.iterdir()}
    outcomes = list(upscale_files(folder, replace(settings, sampling=SamplingConfig(tile=16))))
    assert {p: p.read_bytes() for p in folder.iterdir()} == before
    assert {p.name for p in tmp_path.iterdir()} <= {"in", "out"}
    done = {Path(str(o.output)).name for o in outcomes if isinstance(o, Done)}
    assert {p.name for p in (tmp_path / "out").iterdir()} == done and len(done) > 5
    for outcome in outcomes:
        if isinstance(outcome, Failed):
            assert "unexpected" not in str(outcome.record()["error"]), outcome
