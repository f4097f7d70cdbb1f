"""Pictures at addresses, by a real S3 server and in memory."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import fsspec
import pytest

from srspace.batch import BatchSettings, Done, Failed, Kept, remote, retrying, upscale_files
from srspace.errors import NoPictureError, UsageError
from tests.pictures import picture
from tests.s3_server import s3_server


@pytest.fixture(scope="module")
def s3() -> Iterator[Any]:
    """The server's file system; a bucket called ``bucket`` is there."""
    with s3_server() as endpoint, pytest.MonkeyPatch.context() as patched:
        for name, value in (("AWS_ACCESS_KEY_ID", "x"), ("AWS_SECRET_ACCESS_KEY", "x"), ("AWS_ENDPOINT_URL", endpoint)):
            patched.setenv(name, value)
        patched.setenv("AWS_DEFAULT_REGION", "us-east-1")
        fs = fsspec.filesystem("s3", use_listings_cache=False)
        fs.mkdir("bucket")
        yield fs


@pytest.fixture
def settings(tiny: Path) -> BatchSettings:
    return BatchSettings(weights=str(tiny / "x4"), mode="rrdb", output="s3://bucket/out", device="cpu")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for index in range(3):  # of different sizes: rounding depends on how many are computed together
        picture(tmp_path / "in" / f"{index}.png", (8 + index, 6), seed=index)
    picture(tmp_path / "in" / "deep" / "3.png", (11, 6), seed=3)
    return tmp_path / "in"


def test_pictures_in_a_bucket_give_the_results_of_local_ones(
    s3, photos: Path, settings: BatchSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    s3.put(str(photos), "bucket/in", recursive=True)
    s3.pipe("bucket/in/notes.txt", b"no picture")
    s3.pipe("bucket/in/bad.png", b"no picture")
    monkeypatch.setattr(retrying, "FIRST_PAUSE", 0.01)
    sent, whole = [], type(s3).put_file

    def put_file(self, path: str, key: str, **more: Any) -> None:
        sent.append(Path(key).name)
        if sent.count("1_x4.png") == 1 and sent[-1] == "1_x4.png":
            raise ConnectionResetError("the network is gone for a moment")
        whole(self, path, key, **more)

    monkeypatch.setattr(type(s3), "put_file", put_file)
    recorded = replace(settings, recursive=True, records=tmp_path / "r.jsonl")
    found = list(upscale_files("s3://bucket/in", recorded))
    assert [o.input for o in found] == [
        f"s3://bucket/in/{name}" for name in ("0.png", "1.png", "2.png", "bad.png", "deep/3.png")
    ]
    assert [type(o) for o in found] == [Done, Done, Done, Failed, Done] and "not a picture" in str(found[3].error)
    assert sorted(sent) == ["0_x4.png", "1_x4.png", "1_x4.png", "2_x4.png", "3_x4.png"]
    local = replace(settings, output=tmp_path / "out", recursive=True)
    for one in upscale_files(photos, local):
        name = Path(one.output).relative_to(tmp_path / "out").as_posix()
        assert s3.cat(f"bucket/out/{name}") == Path(one.output).read_bytes()
    records = [json.loads(line) for line in (tmp_path / "r.jsonl").read_text().splitlines()]
    assert records == [o.record() for o in found]
    sent.clear()
    again = list(upscale_files("s3://bucket/in", replace(settings, recursive=True)))
    assert [type(o) for o in again] == [Kept, Kept, Kept, Failed, Kept] and not sent


def test_an_upload_that_keeps_failing_fails_its_picture_alone(photos, settings, monkeypatch):
    monkeypatch.setattr(retrying, "FIRST_PAUSE", 0.01)
    memory = fsspec.filesystem("memory")
    whole = type(memory).put_file

    def put_file(self, path: str, key: str, **more: Any) -> None:
        if key.endswith("1_x4.png"):
            raise ConnectionResetError("the network is gone")
        whole(self, path, key, **more)

    monkeypatch.setattr(type(memory), "put_file", put_file)
    found = list(upscale_files(photos, replace(settings, output="memory://failing/out")))
    assert [type(o) for o in found] == [Done, Failed, Done]
    assert str(found[1].error) == "memory://failing/out/1_x4.png cannot be written: the network is gone."
    assert sorted(memory.find("/failing")) == ["/failing/out/0_x4.png", "/failing/out/2_x4.png"]


def test_pictures_at_an_address_go_to_a_local_folder(photos: Path, settings: BatchSettings, tmp_path: Path):
    memory = fsspec.filesystem("memory")
    memory.put(str(photos), "/here/in", recursive=True)
    found = list(upscale_files("memory://here/in/1.png", replace(settings, output=tmp_path / "out")))
    (expected,) = upscale_files(photos / "1.png", replace(settings, output=str(tmp_path / "local") + "/"))
    assert [o.output for o in found] == [str(tmp_path / "out" / "1_x4.png")]
    assert Path(found[0].output).read_bytes() == Path(expected.output).read_bytes()


@pytest.mark.parametrize(
    ("inputs", "changes", "words"),
    [
        (["memory://none"], {}, "no pictures"),
        (["memory://here/in", "local.png"], {}, "cannot be mixed"),
        (["memory://here/in"], {"output": None}, "name a folder"),
        (["memory://here/in"], {"save_samples": "samples", "mode": "mean"}, "local folders"),
        (["nothing://here"], {}, "cannot be reached"),
    ],
)
def test_what_cannot_be_done_is_told_before_any_work(photos, settings, inputs, changes, words):
    fsspec.filesystem("memory").put(str(photos), "/here/in", recursive=True)
    with pytest.raises((UsageError, NoPictureError), match=words):
        upscale_files(inputs, replace(settings, **changes))


def test_two_results_do_not_share_an_address():
    transfers = [
        remote.Transfer(source, "s3://bucket/a_x4.png", "png")
        for source in ("s3://bucket/a.png", "s3://bucket/c/a.png")
    ]
    with pytest.raises(UsageError, match=r"would both be written to s3://bucket/a_x4\.png"):
        remote._check_collisions(transfers)
