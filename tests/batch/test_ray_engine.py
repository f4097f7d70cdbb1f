"""Pictures through a Ray cluster of this machine."""

from __future__ import annotations

import json
import os
import pickle
import signal
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from srspace.batch import BatchSettings, Done, Failed, Kept, Plan, earlier, ray_engine, upscale_files
from srspace.batch.inputs import find_inputs
from srspace.batch.ray_engine import _Cluster, decided_groups, start
from srspace.batch.records import Records
from srspace.batch.sending import pickled
from srspace.batch.workshop import Workshop
from srspace.config import SamplingConfig
from srspace.errors import UsageError
from tests.pictures import one_by_one, picture
from tests.processes import WITH_THIS_TREE

cluster = pytest.mark.cluster


@pytest.fixture(scope="module")
def ray() -> Iterator[None]:
    ray = pytest.importorskip("ray")
    # The modules of the tests are not in its processes' path otherwise.
    start(num_cpus=2, include_dashboard=False, log_to_driver=False, runtime_env={"env_vars": WITH_THIS_TREE})
    yield
    ray.shutdown()


@pytest.fixture
def settings(tiny: Path, tmp_path: Path) -> BatchSettings:
    return BatchSettings(
        weights=str(tiny / "x4"), mode="mean", sampling=SamplingConfig(samples=2), device="cpu",
        output=tmp_path / "ray", records=tmp_path / "r.jsonl", engine="ray", workers=2,
    )  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return one_by_one(tmp_path / "in", 12)


def local(settings: BatchSettings, tmp_path: Path) -> BatchSettings:
    return replace(settings, engine="local", workers=None, output=tmp_path / "local", records=tmp_path / "local.jsonl")


@cluster
def test_it_does_what_the_local_engine_does(ray, folder: Path, settings: BatchSettings, tmp_path: Path):
    alone = list(upscale_files(folder, local(settings, tmp_path)))
    outcomes = upscale_files(folder, settings)
    found = list(outcomes)
    assert len(outcomes) == 12
    assert [Path(o.input).name for o in found] == [Path(o.input).name for o in alone]
    assert [type(o) for o in found] == [type(o) for o in alone] and Counter(map(type, found)) == {Done: 11, Failed: 1}
    for a, b in zip(alone, found, strict=True):
        assert a.made.settings_sha256 == b.made.settings_sha256
        if isinstance(a, Done):
            assert Path(a.output).read_bytes() == Path(b.output).read_bytes()
        else:
            assert str(a.error) == str(b.error)
    records = [json.loads(line) for line in (tmp_path / "r.jsonl").read_text().splitlines()]
    assert records == [o.record() for o in found]
    before = {path: path.stat().st_ino for path in (tmp_path / "ray").iterdir()}
    again = list(upscale_files(folder, settings))
    assert Counter(map(type, again)) == {Kept: 11, Failed: 1}
    assert {path: path.stat().st_ino for path in (tmp_path / "ray").iterdir()} == before
    picture(folder / "03.png", (9, 6), seed=99)  # its result is not that of this picture any more
    assert [Path(o.input).name for o in upscale_files(folder, settings) if isinstance(o, Done)] == ["03.png"]


@cluster
def test_pictures_at_an_address(ray, folder: Path, settings: BatchSettings, tmp_path: Path):
    """By a file system of fsspec that other processes see."""
    found = list(upscale_files(f"file://{folder}", replace(settings, output=f"file://{tmp_path}/there")))
    assert Counter(map(type, found)) == {Done: 11, Failed: 1}
    for outcome in upscale_files(folder, local(settings, tmp_path)):
        if isinstance(outcome, Done):
            there = tmp_path / "there" / Path(outcome.output).name
            assert there.read_bytes() == Path(outcome.output).read_bytes()


@cluster
def test_weights_that_are_damaged_end_the_run(ray, folder: Path, settings: BatchSettings, tmp_path: Path):
    import shutil

    shutil.copytree(settings.weights, tmp_path / "bad")
    (tmp_path / "bad" / "model.safetensors").write_bytes(b"damaged")
    with pytest.raises(Exception, match=r"model\.safetensors"):
        list(upscale_files(folder, replace(settings, weights=str(tmp_path / "bad"))))


@cluster
def test_a_killed_actor_is_replaced(ray, folder: Path, settings: BatchSettings, tmp_path: Path):
    import psutil

    outcomes = iter(upscale_files(folder, settings))
    first = next(outcomes)
    mine = psutil.Process().children(recursive=True)
    actor = next(p for p in mine if p.is_running() and any("MapWorker" in word for word in p.cmdline()))
    os.kill(actor.pid, signal.SIGKILL)
    found = [first, *outcomes]
    assert Counter(map(type, found)) == {Done: 11, Failed: 1}
    alone = list(upscale_files(folder, local(settings, tmp_path)))
    for a, b in zip(alone, found, strict=True):
        if isinstance(a, Done):
            assert Path(a.output).read_bytes() == Path(b.output).read_bytes()
    assert not [p for p in (tmp_path / "ray").iterdir() if p.name.startswith(".")]


def ray_data() -> Any:
    from ray.data import DataContext

    return DataContext.get_current()


@cluster
def test_the_first_group_is_computed_before_the_last_one_is_decided(ray, settings: BatchSettings, tmp_path: Path):
    def groups() -> Iterator[list[int]]:
        yield [1, 2]
        waited = 0.0
        while not (tmp_path / "seen").exists():
            time.sleep(0.1)
            waited += 0.1
            assert waited < 60
        yield [3]

    made = _Cluster(settings).map(lambda: lambda group: [-number for number in group], groups)
    assert [next(made), next(made)] == [-1, -2]
    (tmp_path / "seen").touch()
    assert list(made) == [-3]
    assert not ray_data().execution_options.preserve_order, "data of whoever else uses Ray here"


def test_pictures_are_decided_a_few_ahead_of_those_asked_for(folder: Path, settings: BatchSettings, monkeypatch):
    monkeypatch.setattr(ray_engine, "_DECIDING", 4)
    looked_at: list[str] = []
    read = earlier.read_header
    monkeypatch.setattr(earlier, "read_header", lambda path: looked_at.append(path.name) or read(path))
    workshop = Workshop(settings)
    plan = Plan(find_inputs([folder], recursive=False), workshop.settings, workshop.scale)
    (folder / "02.png").unlink()  # its header cannot be read; that is for a worker to tell
    with Records(settings.records) as records:
        groups = decided_groups(plan, workshop.expected(), records.recorded, 3)
        assert [task.job.source.name for task in next(groups)] == ["00.png", "01.png", "02.png"]
        assert sorted(looked_at) == [f"{index:02}.png" for index in range(6)]
        assert [len(group) for group in groups] == [3, 3, 3] and len(looked_at) == 12


def test_what_is_decided_and_what_is_recorded_go_to_the_workers(folder: Path, settings: BatchSettings, tmp_path: Path):
    list(upscale_files(folder, local(settings, tmp_path)))
    again = replace(settings, output=tmp_path / "local", records=None)
    workshop = Workshop(again)
    plan = Plan(find_inputs([folder], recursive=False), workshop.settings, workshop.scale)
    plan = pickle.loads(pickle.dumps(plan))
    (group,) = decided_groups(plan, workshop.expected(), None, 16)
    assert [type(one).__name__ for one in group] == ["Kept"] * 5 + ["_Task"] + ["Kept"] * 6
    with Records(tmp_path / "local.jsonl") as records:
        plan = Plan(find_inputs([folder], recursive=False), replace(workshop.settings, records="r"), workshop.scale)
        (group,) = decided_groups(plan, workshop.expected(), records.recorded, 16)
    assert [len(task.recorded.results) for task in group] == [1] * 5 + [0] + [1] * 6
    assert all(task.recorded.wrote(task.job.output) for task in group if task.recorded.results)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"engine": "dask", "workers": None}, "must be local or ray"),
        ({"engine": "local", "workers": 2}, "go with the engine ray"),
        ({"engine": "local", "workers": None, "address": "auto"}, "go with the engine ray"),
        ({"workers": 0}, "must be positive"),
        ({"device": "cuda:0,cuda:1"}, "the cluster tells"),
    ],
)
def test_settings_that_do_not_go_together(settings: BatchSettings, changes, words):
    with pytest.raises(UsageError, match=words):
        replace(settings, **changes)


def test_a_picture_for_standard_output_is_for_the_local_engine(folder: Path, settings: BatchSettings):
    with pytest.raises(UsageError, match="local engine"):
        upscale_files(folder / "00.png", replace(settings, output="-"))


def test_errors_that_cannot_be_sent_are_told_in_words(settings: BatchSettings):
    from srspace.batch.outcome import Made

    error = RuntimeError("it", lambda: None)
    (told,) = pickle.loads(pickled([Failed("a", "b", Made(), error)]))
    assert "RuntimeError" in str(told.error)
