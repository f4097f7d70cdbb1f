from __future__ import annotations

import os
from pathlib import Path

import pytest

from srspace import files
from srspace.errors import NotAFileError, OutputError
from srspace.files import atomic_path, check_writable, remove_leftovers, write_bytes


@pytest.mark.parametrize("before", [None, b"old"])
def test_until_all_of_it_is_on_the_disk_nothing_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: bytes | None
):
    path, seen = tmp_path / "a.bin", []
    if before is not None:
        path.write_bytes(before)
    monkeypatch.setattr(os, "fsync", lambda file: seen.append(path.read_bytes() if path.exists() else None))
    write_bytes(path, b"new")
    assert seen == [before] and path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failure_leaves_what_was_there(tmp_path: Path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    with pytest.raises(KeyError), atomic_path(path) as temporary:
        temporary.write_bytes(b"half")
        raise KeyError
    with pytest.raises(OutputError, match="No space left"), atomic_path(path) as temporary:
        temporary.write_bytes(b"half")
        raise OSError(28, "No space left on device")
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]


def test_temporary_files_hide_and_say_whose_they_are(tmp_path: Path):
    with atomic_path(tmp_path / "deep" / "a.png") as temporary:
        assert temporary.parent == tmp_path / "deep"
        assert temporary.name.startswith(".a.png.") and temporary.name.endswith(".srspace.part")
    assert (tmp_path / "deep" / "a.png").exists()


@pytest.mark.skipif(files.fcntl is None, reason="needs locks")
def test_leftovers_go_and_what_is_being_written_stays(tmp_path: Path):
    dead, mine = tmp_path / ".a.png.x.srspace.part", tmp_path / ".mine.part"
    elsewhere, link = tmp_path / "precious", tmp_path / ".b.png.x.srspace.part"
    for path in (dead, mine, elsewhere):
        path.write_bytes(b"half")
    link.symlink_to(elsewhere)
    with atomic_path(tmp_path / "c.png") as alive:
        assert remove_leftovers(tmp_path) == [dead]
        assert alive.exists() and mine.exists() and elsewhere.exists()
    assert remove_leftovers(tmp_path / "nowhere") == []


def test_links_stay_links(tmp_path: Path):
    (tmp_path / "link").symlink_to("real")
    for content in (b"1", b"2"):
        write_bytes(tmp_path / "link", content)
        assert (tmp_path / "link").is_symlink() and (tmp_path / "real").read_bytes() == content


def test_files_have_the_usual_rights(tmp_path: Path):
    before = os.umask(0o027)
    try:
        write_bytes(tmp_path / "a", b"")
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("write", [lambda path: write_bytes(path, b"new"), check_writable])
def test_what_cannot_be_written_is_said(tmp_path: Path, write):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_bytes(b"old")
    os.mkfifo(tmp_path / "pipe")
    for name, error, words in (
        ("folder", OutputError, "a folder is in its place"),
        ("file/a.png", OutputError, "a file stands where its folder should be"),
        ("pipe", NotAFileError, "pipe"),
        ("x" * 300 + "/a.png", OutputError, "File name too long"),
    ):
        with pytest.raises(error, match=words):
            write(tmp_path / name)
    assert (tmp_path / "file").read_bytes() == b"old" and len(list(tmp_path.iterdir())) == 3


def test_looking_whether_a_file_can_be_written_leaves_none(tmp_path: Path):
    check_writable(tmp_path / "deep" / "a.png")
    assert list((tmp_path / "deep").iterdir()) == []


@pytest.mark.skipif(files.fcntl is None, reason="no such locks")
def test_a_folder_that_was_written_to_is_not_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    known: set[Path] = set()
    check_writable(tmp_path / "a.png", known)
    monkeypatch.setattr(files, "_locked", lambda path: 1 / 0)
    check_writable(tmp_path / "b.png", known)
    (tmp_path / "c.png").mkdir()
    with pytest.raises(OutputError, match="folder is in its place"):
        check_writable(tmp_path / "c.png", known)
    with pytest.raises(ZeroDivisionError):
        check_writable(tmp_path / "deep" / "a.png", known)


@pytest.mark.parametrize("write", [check_writable, lambda path: write_bytes(path, b"x")])
def test_an_interruption_while_a_file_is_made_leaves_none(tmp_path: Path, monkeypatch, write):
    def interrupted(*_: object) -> None:
        assert list(tmp_path.iterdir())
        raise KeyboardInterrupt

    monkeypatch.setattr(files.fcntl, "flock", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "a.png")
    assert list(tmp_path.iterdir()) == []
