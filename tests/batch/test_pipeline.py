"""Stages overlap within bounds, and whatever ends a run leaves nothing half done."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from srspace import devices
from srspace.batch import BatchSettings, Done, Failed, Workshop, engine, pipeline, retrying, upscale_files
from srspace.config import SamplingConfig
from srspace.errors import ImageError
from srspace.images import read_picture
from srspace.models import PreparedSRFlow
from srspace.sizes import TargetSize
from srspace.upscaler import Upscaler
from tests.pictures import picture

LIMIT = 20.0


@pytest.fixture
def settings(tiny: Path, tmp_path: Path) -> BatchSettings:
    return BatchSettings(weights=str(tiny / "x4"), mode="rrdb", output=tmp_path / "out", device="cpu")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Six pictures of as many sizes."""
    for index in range(6):
        picture(tmp_path / "in" / f"{index}.png", (8 + index, 6), seed=index)
    return tmp_path / "in"


class Rendezvous:
    """Waits until every stage is at work at the same time, or for too long."""

    def __init__(self, *stages: str) -> None:
        self.barriers = {stage: threading.Event() for stage in stages}

    def __call__(self, stage: str) -> None:
        self.barriers[stage].set()
        for name, event in self.barriers.items():
            if not event.wait(LIMIT):
                raise TimeoutError(f"{name} never runs beside {stage}")


def watched(monkeypatch: pytest.MonkeyPatch, stage: type, before: Callable[[object], None]) -> None:
    whole = stage.__call__

    def call(self, given, *more):
        before(given)
        return whole(self, given, *more)

    monkeypatch.setattr(stage, "__call__", call)


def number(given: object) -> int:
    job = given if isinstance(given, engine.Job) else given.job
    return int(job.source.stem)


def test_a_picture_is_read_and_another_written_while_one_is_computed(
    folder: Path, settings: BatchSettings, monkeypatch: pytest.MonkeyPatch
):
    meet, computed = Rendezvous("read", "compute", "write"), []

    def second(decoded: object) -> bool:
        computed.append(decoded)
        return len(computed) == 2

    watched(monkeypatch, engine.Reader, lambda job: number(job) == 5 and meet("read"))
    watched(monkeypatch, engine.Computer, lambda decoded: second(decoded) and meet("compute"))
    watched(monkeypatch, engine.Writer, lambda given: number(given) == number(computed[0]) and meet("write"))
    assert [type(o) for o in upscale_files(folder, settings)] == [Done] * 6


def test_outcomes_come_in_order_whatever_takes_longest(
    folder: Path, settings: BatchSettings, monkeypatch: pytest.MonkeyPatch
):
    third = threading.Event()

    def wait(given: object) -> None:
        if number(given) == 3:
            third.set()
        if number(given) == 0 and not third.wait(LIMIT):
            raise TimeoutError

    watched(monkeypatch, engine.Writer, wait)
    assert [Path(o.input).stem for o in upscale_files(folder, settings) if isinstance(o, Done)] == list("012345")


@pytest.mark.parametrize(("room", "most"), [(0, 1), (12 * 6 * 16, 1), (2**30, 6)])
def test_what_is_decoded_and_not_computed_has_its_bound(
    folder: Path, settings: BatchSettings, monkeypatch: pytest.MonkeyPatch, room: int, most: int
):
    monkeypatch.setattr(pipeline, "_MOST_BYTES", room)
    held: set[int] = set()
    first: list[int] = []
    seen: list[int] = []
    whole = engine.Reader.__call__

    def read(self, job, records=None):
        held.add(number(job))
        seen.append(len(held))
        return whole(self, job, records)

    def compute(decoded: object) -> None:
        first.append(number(decoded))
        deadline = time.monotonic() + (LIMIT if most > 1 else 0.05)
        while len(held) < most and len(first) == 1 and time.monotonic() < deadline:
            time.sleep(0.005)
        seen.append(len(held))
        held.discard(number(decoded))

    monkeypatch.setattr(engine.Reader, "__call__", read)
    watched(monkeypatch, engine.Computer, compute)
    assert [type(o) for o in upscale_files(folder, settings)] == [Done] * 6
    assert max(seen) == most


def test_results_that_wait_to_be_written_have_their_bound(
    folder: Path, settings: BatchSettings, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(pipeline, "_MOST_BYTES", 0)
    under_way: set[int] = set()

    def begun(decoded: object) -> None:
        assert not under_way, "another result is not written yet"
        under_way.add(number(decoded))

    watched(monkeypatch, engine.Computer, begun)
    whole = engine.Writer.__call__

    def write(self, computed):
        time.sleep(0.02)
        done = whole(self, computed)
        under_way.discard(number(computed))
        return done

    monkeypatch.setattr(engine.Writer, "__call__", write)
    assert [type(o) for o in upscale_files(folder, settings)] == [Done] * 6


@pytest.fixture
def alike(tmp_path: Path) -> Path:
    """Five pictures of one size and one of another."""
    for index in range(6):
        picture(tmp_path / "in" / f"{index}.png", (9, 7) if index == 3 else (8, 6), seed=index)
    return tmp_path / "in"


def in_one_window(monkeypatch: pytest.MonkeyPatch, count: int) -> list[list[int]]:
    """Have all pictures read before the first is computed; returns the groups that are then computed together."""
    groups: list[list[int]] = []
    ready = threading.Semaphore(0)
    whole, many, one = engine.Reader.__call__, engine.Computer.upscale_many, engine.Computer.__call__

    def read(self, job, records=None):
        try:
            return whole(self, job, records)
        finally:
            ready.release()

    def wait() -> None:
        if not groups:
            assert all(ready.acquire(timeout=LIMIT) for _ in range(count - 1))

    def together(self, group, progress=None):
        groups.append([number(g) for g in group])
        return many(self, group, progress)

    def alone(self, decoded, *more):
        wait()
        groups.append([number(decoded)])
        return one(self, decoded, *more)

    monkeypatch.setattr(engine.Reader, "__call__", read)
    monkeypatch.setattr(engine.Computer, "upscale_many", together)
    monkeypatch.setattr(engine.Computer, "__call__", alone)
    return groups


@pytest.mark.parametrize("mode", ["mean", "rrdb"])
def test_pictures_of_one_size_are_computed_together_and_are_what_they_are_alone(
    alike: Path, settings: BatchSettings, monkeypatch: pytest.MonkeyPatch, mode: str
):
    drawn = replace(settings, mode=mode, sampling=SamplingConfig(samples=3, seed=5))
    single = [upscale_files(alike / f"{k}.png", replace(drawn, output=alike.parent / "alone")) for k in range(6)]
    expected = [read_picture(Path(next(outcomes).output)).rgb for outcomes in single]
    groups = in_one_window(monkeypatch, 6)
    outcomes = list(upscale_files(alike, drawn))
    assert [type(o) for o in outcomes] == [Done] * 6
    assert sorted(len(group) for group in groups)[-1] > 1 and [3] in groups
    for outcome, rgb in zip(outcomes, expected, strict=True):
        assert np.abs(read_picture(Path(outcome.output)).rgb - rgb).max() <= 1 / 255 + 1e-6


class TestWaitingForAGroup:
    """Six pictures of one size, any number of which can be computed together."""

    @pytest.fixture(autouse=True)
    def any_number(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
        groups: list[list[int]] = []
        for index in range(6):
            picture(folder / f"{index}.png", (8, 6), seed=index)
        many, one = engine.Computer.upscale_many, engine.Computer.__call__

        def together(self, group, progress=None):
            groups.append([number(decoded) for decoded in group])
            return many(self, group, progress)

        def alone(self, decoded, *rest):
            groups.append([number(decoded)])
            return one(self, decoded, *rest)

        monkeypatch.setattr(engine.Computer, "at_a_time", lambda self, decoded, most: most)
        monkeypatch.setattr(engine.Computer, "upscale_many", together)
        monkeypatch.setattr(engine.Computer, "__call__", alone)
        return groups

    def test_it_waits_while_more_are_read_than_are_there(
        self, folder: Path, settings: BatchSettings, monkeypatch: pytest.MonkeyPatch, any_number: list[list[int]]
    ):
        watched(monkeypatch, engine.Reader, lambda job: time.sleep(0.1 * number(job)))
        assert [type(o) for o in upscale_files(folder, settings)] == [Done] * 6
        assert len(any_number[0]) >= 3

    def test_it_does_not_wait_for_one_that_takes_long(
        self, folder: Path, settings: BatchSettings, monkeypatch: pytest.MonkeyPatch, any_number: list[list[int]]
    ):
        written = threading.Event()
        watched(monkeypatch, engine.Reader, lambda job: number(job) == 5 and (written.wait(LIMIT) or 1 / 0))
        watched(monkeypatch, engine.Writer, lambda computed: number(computed) == 4 and written.set())
        assert [type(o) for o in upscale_files(folder, settings)] == [Done] * 6
        assert any_number[-1] == [5]

    def test_none_waits_where_each_is_computed_alone(
        self, folder: Path, settings: BatchSettings, monkeypatch: pytest.MonkeyPatch, any_number: list[list[int]]
    ):
        computed = threading.Event()
        monkeypatch.setattr(engine.Computer, "at_a_time", lambda self, decoded, most: 1)
        watched(monkeypatch, engine.Reader, lambda job: number(job) and (computed.wait(LIMIT) or 1 / 0))
        watched(monkeypatch, engine.Computer, lambda decoded: computed.set())
        assert [type(o) for o in upscale_files(folder, settings)] == [Done] * 6
        assert any_number[0] == [0]


class TestTwoGroups:
    """On a GPU, a group is prepared while another is computed; here, a CPU is taken for one."""

    @pytest.fixture(autouse=True)
    def in_fours(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(engine.Computer, "at_a_time", lambda self, decoded, most: min(most, 4))

    @pytest.fixture
    def many(self, tmp_path: Path) -> Path:
        """Twelve pictures of one size, and in the middle one of another."""
        for index in range(13):
            picture(tmp_path / "many" / f"{index:02}.png", (9, 7) if index == 6 else (8, 6), seed=index)
        return tmp_path / "many"

    @pytest.mark.parametrize("overlaps", [False, True])
    def test_they_are_computed_side_by_side_and_change_nothing(
        self, many: Path, settings: BatchSettings, monkeypatch: pytest.MonkeyPatch, overlaps: bool
    ):
        drawn = replace(settings, mode="mean", sampling=SamplingConfig(samples=2, seed=5))
        expected = [read_picture(Path(o.output)).rgb for o in upscale_files(many, drawn)]
        monkeypatch.setattr(engine.Computer, "overlaps", overlaps)
        together, alone = engine.Computer.upscale_many, engine.Computer.__call__
        under_way: list[str] = []
        seen: list[tuple[str, ...]] = []
        met = threading.Event()

        def counted(name: str, work: Callable[[], object]) -> object:
            under_way.append(name)
            seen.append(tuple(under_way))
            if under_way == ["group"] * 2:
                met.set()
            elif overlaps and name == "group":
                met.wait(LIMIT)
            try:
                return work()
            finally:
                under_way.remove(name)

        monkeypatch.setattr(engine.Computer, "upscale_many", lambda *given: counted("group", lambda: together(*given)))
        monkeypatch.setattr(engine.Computer, "__call__", lambda *given: counted("alone", lambda: alone(*given)))
        outcomes = list(upscale_files(many, replace(drawn, output=settings.output / "again")))
        assert [type(o) for o in outcomes] == [Done] * 13
        assert max(map(len, seen)) == 1 + overlaps
        assert not any("alone" in names and len(names) > 1 for names in seen)
        assert [Path(o.output).stem for o in outcomes] == sorted(Path(o.output).stem for o in outcomes)
        for outcome, rgb in zip(outcomes, expected, strict=True):
            assert np.abs(read_picture(Path(outcome.output)).rgb - rgb).max() <= 1 / 255 + 1e-6

    def test_only_gpus_do_so_and_only_where_memory_is_not_limited(self, settings: BatchSettings):
        limited = replace(settings, sampling=SamplingConfig(max_memory=2**30))
        found = {
            (name, given is limited): engine.Computer(given, lambda made: None, name).overlaps
            for name in ("cpu", "cuda:0", "mps")
            for given in (settings, limited)
        }
        assert [key for key, overlaps in found.items() if overlaps] == [("cuda:0", False)]


@pytest.fixture
def two_threads() -> Iterator[None]:
    """Torch computes with one helper, wherever the tests run."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize("on_gpu", [False, True])
def test_only_what_computes_on_the_cpu_has_torchs_helpers(
    alike: Path, settings: BatchSettings, monkeypatch: pytest.MonkeyPatch, on_gpu: bool
):
    threads: dict[str, set[int]] = {}

    def watch(stage: type, name: str = "__call__") -> None:
        done = getattr(stage, name)

        def watched(*given):
            threads.setdefault(stage.__name__, set()).add(torch.get_num_threads())
            return done(*given)

        monkeypatch.setattr(stage, name, watched)

    watch(engine.Reader)
    watch(engine.Computer, "upscale_many")
    watch(engine.Writer)
    monkeypatch.setattr(engine.Computer, "on_gpu", on_gpu)
    in_one_window(monkeypatch, 6)
    assert all(isinstance(outcome, Done) for outcome in upscale_files(alike, settings))
    assert threads == {"Reader": {1}, "Computer": {1 if on_gpu else 2}, "Writer": {1}}


def test_a_group_that_fails_is_computed_one_by_one(
    alike: Path, settings: BatchSettings, monkeypatch: pytest.MonkeyPatch
):
    groups = in_one_window(monkeypatch, 6)
    whole = Upscaler._upscale

    def fragile(self, pictures, *rest, **options):
        if any(p.rgb.sum() == marked for p in pictures):
            raise ZeroDivisionError("a bug")
        return whole(self, pictures, *rest, **options)

    marked = read_picture(alike / "4.png").rgb.sum()
    monkeypatch.setattr(Upscaler, "_upscale", fragile)
    outcomes = list(upscale_files(alike, settings))
    assert [type(o) for o in outcomes] == [Done, Done, Done, Done, Failed, Done]
    assert any(len(group) > 1 and 4 in group for group in groups)


@pytest.mark.parametrize("place", ["features", "conditions", "decode", "write"])
def test_where_memory_fails_the_others_go_on(
    alike: Path, settings: BatchSettings, monkeypatch: pytest.MonkeyPatch, place: str
):
    """One picture of six takes too much, whatever is tried; of those that are computed with it, none is lost."""
    drawn = replace(settings, mode="mean", sampling=SamplingConfig(samples=2), retries=1)
    monkeypatch.setattr(retrying, "FIRST_PAUSE", 0.0)
    expected = {Path(o.input).stem: read_picture(Path(o.output)).rgb for o in upscale_files(alike, drawn)}
    thread = threading.local()

    def fail() -> None:
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: not enough memory: you tried to allocate 8 bytes.")

    whole_pictures, tried = Upscaler._upscale, []

    def known(self, pictures, *rest, **options):
        thread.broken = any(p.rgb.sum() == marked for p in pictures)
        return whole_pictures(self, pictures, *rest, **options)

    marked = read_picture(alike / "2.png").rgb.sum()
    monkeypatch.setattr(Upscaler, "_upscale", known)
    if place == "write":
        watched(monkeypatch, engine.Writer, lambda computed: number(computed) == 2 and (tried.append(1), fail()))
    else:
        whole = getattr(PreparedSRFlow, place)

        def fragile(self, *given, **named):
            if getattr(thread, "broken", False):
                tried.append(1)
                fail()
            return whole(self, *given, **named)

        monkeypatch.setattr(PreparedSRFlow, place, fragile)
    outcomes = list(upscale_files(alike, replace(drawn, output=alike.parent / "again")))
    assert [type(o) for o in outcomes] == [Done, Done, Failed, Done, Done, Done] and len(tried) > 1
    for outcome in outcomes:
        if isinstance(outcome, Done):
            found = read_picture(Path(outcome.output)).rgb
            assert np.abs(found - expected[Path(outcome.input).stem]).max() <= 1 / 255 + 1e-6


class TestRetries:
    """The disk and the memory get another chance, damaged pictures do not."""

    @pytest.fixture(autouse=True)
    def no_pause(self, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr(retrying, "FIRST_PAUSE", 0.0)

    @pytest.mark.parametrize("retries", [1, 2])
    @pytest.mark.parametrize("stage", ["read", "compute", "write"])
    def test_what_fails_twice_takes_two_retries(
        self, folder: Path, settings: BatchSettings, monkeypatch: pytest.MonkeyPatch, stage: str, retries: int
    ):
        from srspace import files

        tried: list[str] = []

        def fail(error: Exception) -> None:
            tried.append(stage)
            if len(tried) <= 2:
                raise error

        if stage == "read":
            whole = Path.read_bytes

            def read(self: Path) -> bytes:
                if self.stem == "1":
                    fail(OSError(5, "Input/output error"))
                return whole(self)

            monkeypatch.setattr(Path, "read_bytes", read)
        elif stage == "compute":
            watched(monkeypatch, engine.Computer, lambda given: number(given) == 1 and fail(MemoryError()))
        else:
            sync = files.os.fsync
            monkeypatch.setattr(
                files.os, "fsync", lambda handle: (fail(OSError(5, "Input/output error")), sync(handle))
            )
        only = upscale_files(folder / "1.png", replace(settings, retries=retries))
        assert [type(o) for o in only] == [Done if retries == 2 else Failed]
        assert len(tried) == retries + 1

    def test_a_damaged_picture_is_read_once(
        self, folder: Path, settings: BatchSettings, monkeypatch: pytest.MonkeyPatch
    ):
        (folder / "1.png").write_bytes((folder / "1.png").read_bytes()[:-20])
        tried: list[int] = []
        watched(monkeypatch, engine.Reader, lambda job: tried.append(number(job)))
        (outcome,) = upscale_files(folder / "1.png", replace(settings, retries=3))
        assert isinstance(outcome, Failed) and isinstance(outcome.error, ImageError) and tried == [1]


class TestEnds:
    """A run that ends early tells what it did, and leaves no thread and nothing half-written."""

    def check(self, folder: Path, outcomes: list) -> None:
        written = {p.name for p in (folder.parent / "out").iterdir()}
        assert written == {Path(o.output).name for o in outcomes if isinstance(o, Done)}
        assert not [thread for thread in threading.enumerate() if thread.name.startswith("srspace")]

    def test_a_stopped_run_finishes_what_is_written_and_gives_up_the_rest(
        self, folder: Path, settings: BatchSettings, monkeypatch: pytest.MonkeyPatch
    ):
        outcomes = upscale_files(folder, replace(settings, mode="mean", sampling=SamplingConfig(batch_size=1)))
        writing, steps = threading.Event(), []

        def begin(computed: object) -> None:
            writing.set()
            time.sleep(0.1)

        whole = PreparedSRFlow.decode

        def decode(self, latents, conditions):
            if writing.wait(0.001 if not steps else LIMIT):  # the second picture, while the first is written
                steps.append(1)
                outcomes.stop()
            return whole(self, latents, conditions)

        watched(monkeypatch, engine.Writer, begin)
        monkeypatch.setattr(PreparedSRFlow, "decode", decode)
        found = list(outcomes)
        assert [type(o) for o in found] == [Done]
        assert len(steps) < 3, "the second is given up at its next step"
        assert len(outcomes) == 6
        self.check(folder, found)

    def test_the_first_failure_ends_the_run_when_asked(self, folder: Path, settings: BatchSettings):
        (folder / "2.png").write_bytes(b"no picture")
        found = list(upscale_files(folder, replace(settings, fail_fast=True)))
        assert [Path(o.input).stem for o in found if isinstance(o, Failed)] == ["2"]
        assert len(found) < 6
        self.check(folder, found)
        assert len(list(upscale_files(folder, settings))) == 6

    def test_an_error_of_the_one_who_asks_ends_the_threads(self, folder: Path, settings: BatchSettings):
        outcomes = upscale_files(folder, settings, progress=lambda progress: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            list(outcomes)
        assert not [thread for thread in threading.enumerate() if thread.name.startswith("srspace")]


class TestSeveralDevices:
    def test_they_share_the_pictures_and_change_none(
        self, folder: Path, settings: BatchSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ):
        drawn = replace(settings, mode="mean", sampling=SamplingConfig(samples=2, seed=3), records=tmp_path / "1")
        alone = list(upscale_files(folder, drawn))
        both, threads = threading.Barrier(2), []

        def meet(given: object) -> None:
            threads.append(threading.current_thread().name)
            if number(given) in (0, 1):
                both.wait(LIMIT)

        watched(monkeypatch, engine.Computer, meet)
        monkeypatch.setattr(devices, "pick_devices", lambda names: [torch.device("cpu"), torch.device("cpu", 0)])
        several = replace(drawn, output=tmp_path / "several", records=tmp_path / "2")
        found = list(upscale_files(folder, several))
        assert [type(o) for o in found] == [Done] * 6 and len(set(threads)) == 2
        assert [Path(o.input).name for o in found] == [Path(o.input).name for o in alone]
        for a, b in zip(alone, found, strict=True):
            assert Path(a.output).read_bytes() == Path(b.output).read_bytes()
            assert replace(a.made, device=b.made.device) == b.made
        assert {o.made.device for o in found[:2]} == {"cpu", "cpu:0"}

    def test_none_waits_while_another_computes_many(self, folder, settings, tmp_path, monkeypatch):
        """Six pictures of one size: three at most are computed together on each of two devices."""
        groups: list[int] = []
        for index in range(6):
            picture(folder / f"{index}.png", (8, 6), seed=index)
        whole, read, all_read, seen = engine.Computer.upscale_many, engine.Reader.__call__, threading.Event(), []

        def many(self, group, progress=None):
            groups.append(len(group))
            return whole(self, group, progress)

        def told(self, job, *more):
            decoded = read(self, job, *more)
            seen.append(job)
            if len(seen) == 6:
                all_read.set()
            return decoded

        monkeypatch.setattr(engine.Reader, "__call__", told)
        watched(monkeypatch, engine.Computer, lambda given: all_read.wait(LIMIT))
        monkeypatch.setattr(engine.Computer, "at_a_time", lambda self, decoded, most: most)
        monkeypatch.setattr(engine.Computer, "upscale_many", many)
        for device, most in (("cpu", 6), ("cpu,cpu", 3)):
            groups.clear()
            seen.clear()
            all_read.clear()
            found = list(upscale_files(folder, replace(settings, device=device, output=tmp_path / device)))
            assert [type(o) for o in found] == [Done] * 6 and max(groups, default=0) <= most
        assert groups

    @pytest.mark.parametrize(("mode", "size"), [("mean", None), ("rrdb", None), ("mean", TargetSize(scale=2))])
    def test_they_share_the_only_picture_and_change_nothing(
        self,
        settings: BatchSettings,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        mode: str,
        size: TargetSize | None,
    ):
        """Candidates of one tile in one mode, tiles in the other; then the frames of an animation."""
        picture(tmp_path / "one.png", (24, 20))
        frames = [Image.open(picture(tmp_path / f"{seed}.png", (24, 20), seed)) for seed in range(3)]
        frames[0].save(tmp_path / "one.gif", save_all=True, append_images=frames[1:])
        drawn = mode == "mean"
        sampling = SamplingConfig(samples=5 if drawn else None, batch_size=1, tile=None if drawn else 16)
        asked = replace(settings, mode=mode, sampling=sampling, size=size)
        asked = replace(asked, save_samples=tmp_path / "1" if drawn else None)
        alone = [list(upscale_files(tmp_path / "one.png", asked))]
        alone.append(list(upscale_files(tmp_path / "one.gif", replace(asked, save_samples=None))))
        part, workers = "decode" if drawn else "features", []
        whole = getattr(PreparedSRFlow, part)

        def told(self, *given):
            workers.append(id(self))
            return whole(self, *given)

        monkeypatch.setattr(PreparedSRFlow, part, told)
        monkeypatch.setattr(devices, "pick_devices", lambda names: [torch.device("cpu"), torch.device("cpu", 0)])
        several = replace(asked, output=tmp_path / "several", save_samples=tmp_path / "2" if drawn else None)
        both = [list(upscale_files(tmp_path / "one.png", several))]
        counts = sorted(workers.count(worker) for worker in set(workers))
        assert counts == ([2, 3] if drawn else [2, 2])
        both.append(list(upscale_files(tmp_path / "one.gif", replace(several, save_samples=None))))
        for (a,), (b,) in zip(alone, both, strict=True):
            assert Path(a.output).read_bytes() == Path(b.output).read_bytes()
            assert b.made.device == "cpu,cpu:0" and replace(a.made, device=b.made.device) == b.made
        if drawn:
            names = sorted(path.name for path in (tmp_path / "1").iterdir())
            assert len(names) == 5
            assert all((tmp_path / "1" / n).read_bytes() == (tmp_path / "2" / n).read_bytes() for n in names)

    def test_two_pictures_share_four_devices(
        self, folder: Path, settings: BatchSettings, monkeypatch: pytest.MonkeyPatch
    ):
        for index in range(2, 6):
            (folder / f"{index}.png").unlink()
        given: dict[int, int] = {}
        whole, both = engine.Computer.__call__, threading.Barrier(2)

        def call(self, decoded, progress=None, beside=()):
            given[number(decoded)] = 1 + len(beside)
            both.wait(LIMIT)
            return whole(self, decoded, progress, beside)

        monkeypatch.setattr(engine.Computer, "__call__", call)
        found = list(upscale_files(folder, replace(settings, device="cpu,cpu,cpu,cpu")))
        assert [type(o) for o in found] == [Done] * 2 and given == {0: 2, 1: 2}

    def test_all_give_up_the_only_picture_when_the_run_is_stopped(
        self, settings: BatchSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ):
        picture(tmp_path / "one.png", (24, 20))
        sampling, steps = SamplingConfig(samples=200, batch_size=1), []
        whole = PreparedSRFlow.decode

        def decode(self, latents, conditions):
            steps.append(self)
            if len(set(map(id, steps))) == 2:
                outcomes.stop()
            return whole(self, latents, conditions)

        monkeypatch.setattr(PreparedSRFlow, "decode", decode)
        several = replace(settings, mode="mean", sampling=sampling, device="cpu,cpu")
        outcomes = upscale_files(tmp_path / "one.png", several)
        assert list(outcomes) == [] and len(steps) < 20
        assert not [thread for thread in threading.enumerate() if thread.name.startswith("srspace-side")]
        assert not list((tmp_path / "out").iterdir())

    def test_each_has_weights_of_its_own_where_they_are_chosen(self, settings: BatchSettings):
        loaded = Workshop(replace(settings, weights="auto", device="cpu,cpu")).load()
        assert len({computer._upscaler for computer in loaded.computers}) == 2

    def test_they_share_the_memory_of_the_cpu(self, settings: BatchSettings):
        sampling = SamplingConfig(max_memory=2**30)
        loaded = Workshop(replace(settings, sampling=sampling, device="cpu,cpu")).load()
        assert [c._settings.sampling.max_memory for c in loaded.computers] == [2**29] * 2


def test_torch_and_its_errors_are_known_as_lack_of_memory():
    assert retrying.passing(torch.OutOfMemoryError("CUDA out of memory"))
    assert not retrying.passing(ZeroDivisionError())
