"""Pictures in watched folders are upscaled once, and only when they are complete."""

from __future__ import annotations

import os
import random
import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from srspace.batch import BatchSettings, Done, Failed, Kept, Outcome, watch_folders, watching
from srspace.errors import OtherResultError, SharedTargetError, UsageError
from srspace.images import read_header
from tests.pictures import picture

LIMIT = 30.0


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(watching, "SETTLED", 0.3)
    monkeypatch.setattr(watching, "PATIENCE", 1.2)
    monkeypatch.setattr(watching, "_TICK", 0.05)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    return tmp_path / "in"


@pytest.fixture
def settings(tiny: Path, tmp_path: Path) -> BatchSettings:
    return BatchSettings(weights=str(tiny / "x4"), mode="rrdb", output=tmp_path / "out", device="cpu")


def watched(
    folder: Path, settings: BatchSettings, act: Callable[[], None], until: Callable[[list[Outcome]], bool], **options
) -> list[Outcome]:
    """The outcomes of a watch during which ``act`` does something, in a thread of its own."""
    found: list[Outcome] = []
    outcomes = watch_folders(folder, settings, **options)
    acting = threading.Thread(target=act)
    end = threading.Event()

    def ending() -> None:
        deadline = time.monotonic() + LIMIT
        while (acting.is_alive() or not until(found)) and time.monotonic() < deadline and not end.is_set():
            time.sleep(0.02)
        time.sleep(0.5)  # for what must not come
        outcomes.stop()

    watcher = threading.Thread(target=ending)
    acting.start()
    watcher.start()
    try:
        for outcome in outcomes:
            found.append(outcome)
    finally:
        end.set()
        acting.join()
        watcher.join()
    return found


def after(count: int) -> Callable[[list[Outcome]], bool]:
    return lambda found: len(found) >= count


def kinds(outcomes: list[Outcome]) -> list[tuple[str, type]]:
    return sorted(((Path(o.input).name, type(o)) for o in outcomes), key=lambda pair: pair[0])


def slowly(data: bytes, path: Path, pauses: Iterator[float]) -> None:
    with path.open("wb", buffering=0) as file:
        for k in range(4):
            file.write(data[k * len(data) // 4 : (k + 1) * len(data) // 4])
            time.sleep(next(pauses))


def test_pictures_that_are_written_slowly_moved_or_there_already_are_done_once_and_moved_on(
    folder: Path, settings: BatchSettings, tmp_path: Path
):
    picture(folder / "early.png")
    data = picture(tmp_path / "source.png", (24, 18)).read_bytes()
    moved = [picture(tmp_path / "elsewhere" / f"moved{k}.png") for k in range(2)]
    rng = random.Random(0)

    def act() -> None:
        writers = []
        for k in range(6):
            pauses = iter([rng.uniform(0, 0.1), 0.6 if k == 0 else 0.1, rng.uniform(0, 0.2), 0.0])
            writers.append(threading.Thread(target=slowly, args=(data, folder / f"slow{k}.png", pauses)))
        rng.shuffle(writers)
        for writer in writers:
            writer.start()
            time.sleep(0.03)
        moved[0].rename(folder / moved[0].name)
        (folder / "sub").mkdir()
        moved[1].rename(folder / "sub" / moved[1].name)
        (folder / ".hidden.png").write_bytes(data)
        (folder / "notes.txt").write_text("no picture")
        for writer in writers:
            writer.join()

    found = watched(folder, replace(settings, recursive=True), act, after(9), done=tmp_path / "done")
    names = [f"slow{k}.png" for k in range(6)] + ["moved0.png", "moved1.png", "early.png"]
    assert kinds(found) == [(name, Done) for name in sorted(names)]
    assert {read_header(Path(o.output)).width for o in found if "slow" in o.input} == {96}
    assert (tmp_path / "out" / "sub" / "moved1_x4.png").is_file()
    left = sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())
    assert left == [".hidden.png", "notes.txt"]
    there = sorted(str(p.relative_to(tmp_path / "done")) for p in (tmp_path / "done").rglob("*.png"))
    assert there == sorted([*names[:7], "early.png", "sub/moved1.png"])


def test_a_file_that_still_changes_is_not_complete(
    folder: Path, settings: BatchSettings, monkeypatch: pytest.MonkeyPatch
):
    late = 0.0
    monotonic = time.monotonic
    monkeypatch.setattr(watching.time, "monotonic", lambda: monotonic() + late)
    watch = watch_folders(folder, settings)
    path = picture(folder / "a.png", seed=1)
    watch._look_at(watch._everything())
    for seed in (2, 3):
        late += 100.0
        picture(path, (9, 9 + seed), seed=seed)
        assert watch._complete() == [], "it has changed since the last look"
    late += 100.0
    assert [found.path for found in watch._complete()] == [path]
    watch.close()


def test_results_beside_their_inputs_are_not_upscaled_again_and_changes_are_seen(folder: Path, settings: BatchSettings):
    picture(folder / "a.png")

    def act() -> None:
        time.sleep(1.0)
        picture(folder / "a.png", seed=5)

    found = watched(folder, replace(settings, output=None, overwrite=True), act, after(2))
    assert kinds(found) == [("a.png", Done)] * 2
    assert sorted(p.name for p in folder.iterdir()) == ["a.png", "a_x4.png"]


def test_a_damaged_picture_is_told_once_and_after_a_while(folder: Path, settings: BatchSettings, tmp_path: Path):
    data = picture(tmp_path / "source.png").read_bytes()
    begin = time.monotonic()

    def act() -> None:
        (folder / "bad.png").write_bytes(data[:-30])
        (folder / "empty.png").write_bytes(b"")

    found = watched(folder, settings, act, after(2), done=tmp_path / "done")
    assert kinds(found) == [("bad.png", Failed), ("empty.png", Failed)]
    assert time.monotonic() - begin > 1.2
    assert sorted(p.name for p in folder.iterdir()) == ["bad.png", "empty.png"], "what failed stays"


def test_another_picture_of_the_same_name_is_not_taken_for_done(folder: Path, settings: BatchSettings, tmp_path: Path):
    picture(folder / "a.png")

    def act() -> None:
        while (folder / "a.png").exists():
            time.sleep(0.02)
        picture(folder / "a.png", seed=5)
        shutil.copy(tmp_path / "done" / "a.png", folder / "again.png")
        picture(folder / "b.bmp")
        picture(folder / "b.png")

    found = watched(folder, settings, act, after(5), done=tmp_path / "done")
    assert Counter(kinds(found)) == Counter(
        {("a.png", Done): 1, ("a.png", Failed): 1, ("again.png", Done): 1, ("b.bmp", Done): 1, ("b.png", Failed): 1}
    )
    errors = {Path(o.input).name: o.error for o in found if isinstance(o, Failed)}
    assert isinstance(errors["a.png"], OtherResultError) and isinstance(errors["b.png"], SharedTargetError)
    assert sorted(p.name for p in folder.iterdir()) == ["a.png", "b.png"]
    again = watched(folder, settings, lambda: None, after(2), done=tmp_path / "done")
    assert kinds(again)[0] == ("a.png", Failed)


def test_what_is_there_already_in_the_folder_of_done_ones_is_not_replaced(
    folder: Path, settings: BatchSettings, tmp_path: Path
):
    picture(folder / "a.png")
    theirs = picture(tmp_path / "done" / "a.png", seed=9).read_bytes()
    found = watched(folder, settings, lambda: None, after(1), done=tmp_path / "done")
    assert kinds(found) == [("a.png", Done)]
    assert (tmp_path / "done" / "a.png").read_bytes() == theirs
    assert (tmp_path / "done" / "a_1.png").is_file() and not list(folder.iterdir())


def test_a_record_of_each_and_the_next_watch_goes_on(folder: Path, settings: BatchSettings, tmp_path: Path):
    recorded = replace(settings, records=tmp_path / "r.jsonl")
    picture(folder / "a.png")
    assert kinds(watched(folder, recorded, lambda: None, after(1))) == [("a.png", Done)]
    found = watched(folder, recorded, lambda: picture(folder / "b.png") and None, after(2))
    assert kinds(found) == [("a.png", Kept), ("b.png", Done)]
    assert (tmp_path / "r.jsonl").read_text().count("\n") == 2


def test_what_cannot_be_watched_is_told_at_once(folder: Path, settings: BatchSettings, tmp_path: Path):
    with pytest.raises(UsageError, match="only folders can be watched"):
        watch_folders(picture(folder / "a.png"), settings)
    with pytest.raises(UsageError, match="cannot go to standard output"):
        watch_folders(folder, replace(settings, output="-"))
    assert not os.path.lexists(tmp_path / "out")
