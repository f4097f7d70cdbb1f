"""A process for each of several devices; here, where there may be no GPU, they are told to take the CPU."""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
from collections import Counter, deque
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch

from srspace import modes
from srspace.batch import BatchSettings, Done, Failed, Kept, Plan, processes, upscale_files, workshop
from srspace.batch.inputs import find_inputs
from srspace.batch.outcome import Made
from srspace.batch.plan import PartOfPlan
from srspace.batch.records import Records
from srspace.batch.sending import STOP, Task
from srspace.config import SamplingConfig
from srspace.errors import CheckpointError, WorkerError
from tests.pictures import one_by_one, picture
from tests.processes import WITH_THIS_TREE

SCRIPT = """
import sys
from srspace.batch import BatchSettings, upscale_files, workshop
from srspace.config import SamplingConfig

workshop.devices_for = lambda settings, plan: ["cpu", "cpu"]
weights, folder, out = sys.argv[1:]
settings = BatchSettings(weights=weights, mode="mean", sampling=SamplingConfig(samples=2), device="cpu", output=out)
for outcome in upscale_files(folder, settings):
    print(outcome.status, flush=True)
"""


@pytest.fixture
def settings(tiny: Path, tmp_path: Path) -> BatchSettings:
    return BatchSettings(
        weights=str(tiny / "x4"), mode="mean", sampling=SamplingConfig(samples=2), device="cpu",
        output=tmp_path / "out", records=tmp_path / "r.jsonl",
    )  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return one_by_one(tmp_path / "in", 9)


@pytest.fixture
def two(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two processes."""
    monkeypatch.setattr(workshop, "devices_for", lambda settings, plan: ["cpu", "cpu"])


def here(settings: BatchSettings, tmp_path: Path) -> BatchSettings:
    return replace(settings, output=tmp_path / "here", records=tmp_path / "here.jsonl")


def planned(folder: Path, settings: BatchSettings) -> Plan:
    return Plan(find_inputs([folder], recursive=False), settings, 4)


def task(folder: Path, settings: BatchSettings) -> bytes:
    """What a process is sent that is to do everything."""
    plan = planned(folder, settings)
    return pickle.dumps(Task(replace(settings, records=None), PartOfPlan(plan, range(len(plan))), None))


def interpreter(arguments: list[str], **given: Any) -> subprocess.Popen[bytes]:
    """One that finds the package of this tree."""
    command = [sys.executable, *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, env=os.environ | WITH_THIS_TREE, **given)


def workers(process: psutil.Process | None = None) -> list[psutil.Process]:
    found = []
    for child in (process or psutil.Process()).children(recursive=True):
        with suppress(psutil.Error):  # it ends just now
            if "srspace.batch.worker" in child.cmdline():
                found.append(child)
    return found


def test_they_do_what_one_does(folder: Path, settings: BatchSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    alone = list(upscale_files(folder, here(settings, tmp_path)))
    monkeypatch.setattr(workshop, "devices_for", lambda settings, plan: ["cpu", "cpu"])
    told: list[str] = []
    run = upscale_files(folder, settings, lambda progress: told.append(progress.name))
    found = list(run)
    assert len(run) == 9 and not workers()
    assert [o.input for o in found] == [o.input for o in alone] == told
    assert [type(o) for o in found] == [type(o) for o in alone] and Counter(map(type, found)) == {Done: 8, Failed: 1}
    for a, b in zip(alone, found, strict=True):
        assert a.made == b.made or isinstance(a, Failed)
        if isinstance(a, Done) and isinstance(b, Done):
            assert Path(a.output).read_bytes() == Path(b.output).read_bytes()
        elif isinstance(a, Failed) and isinstance(b, Failed):
            assert str(a.error) == str(b.error)
    records = [json.loads(line) for line in (tmp_path / "r.jsonl").read_text().splitlines()]
    assert sorted(records, key=lambda record: record["input"]) == [o.record() for o in found]
    picture(folder / "03.png", (9, 6), seed=99)  # its result is not that of this picture any more
    again = {Path(o.input).name: type(o) for o in upscale_files(folder, settings)}
    assert again.pop("03.png") is Done and again.pop("05.png") is Failed and set(again.values()) == {Kept}


def test_records_do_not_wait_for_their_turn(
    folder: Path, settings: BatchSettings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    made: list[Any] = []

    class Worker:
        def __init__(self, settings, plan, indices, device, recorded, events) -> None:
            self.indices, self.told, self.over, self.starts = indices, deque(), False, 1
            made.append(self)
            if len(made) == 2:
                first, second = made
                for worker, index in ((second, 1), (second, 3), (second, 5), (first, 0), (first, 2), (second, 7)):
                    events.put((worker, Failed(str(index), None, Made(), ValueError())))
                for index in (4, 6, 8):
                    events.put((first, Failed(str(index), None, Made(), ValueError())))

        def stop(self) -> None:
            pass

        end = stop

    monkeypatch.setattr(processes, "_Worker", Worker)
    shop = workshop.Workshop(settings)
    plan = planned(folder, shop.settings)
    with Records(tmp_path / "records.jsonl") as records:
        outcomes = processes.ProcessFlow(shop, plan, ["cpu", "cpu"], None, records).outcomes()
        assert next(outcomes).input == "0"
        lines = (tmp_path / "records.jsonl").read_text().splitlines()
        assert [json.loads(line)["input"] for line in lines] == list("135027468")
        assert [outcome.input for outcome in outcomes] == list("12345678")


def test_one_that_is_killed_is_begun_again(two: None, folder: Path, settings: BatchSettings, tmp_path: Path):
    for index in range(60):
        picture(folder / f"1{index:02}.png", (30, 30), seed=index)
    run = upscale_files(folder, settings)
    first = next(run)
    os.kill(workers()[1].pid, signal.SIGKILL)
    found = [first, *run]
    assert [type(o) for o in found if not isinstance(o, Done | Kept)] == [Failed] and len(found) == 69
    results = {path.name for path in (tmp_path / "out").glob("[!.]*")}
    assert results == {f"{path.stem}_x4.png" for path in folder.iterdir() if path.stem != "05"}


def test_deaths_count_since_it_last_told_of_a_picture(
    two: None, folder: Path, settings: BatchSettings, monkeypatch: pytest.MonkeyPatch
):
    """Of a process that tells of one picture each time before it dies."""
    begin = subprocess.Popen
    script = """
import os, pickle, sys
from srspace.batch.outcome import Made, Skipped
task = pickle.load(sys.stdin.buffer)
out = os.fdopen(1, "wb")
pickle.dump([Skipped(str(task.part._indices[0]), None, Made(), "it is odd")], out)
out.flush()
os.kill(os.getpid(), 9)
"""
    command = [sys.executable, "-c", script]
    monkeypatch.setattr(processes.subprocess, "Popen", lambda args, **given: begin(command, **given))
    assert [outcome.input for outcome in upscale_files(folder, settings)] == list("012345678")


def test_those_that_cannot_begin_fail_their_pictures(
    two: None, folder: Path, settings: BatchSettings, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(processes, "_environment", lambda device: os.environ | {"PYTHONHOME": "/nowhere"})
    found = list(upscale_files(folder, settings))
    assert [type(o) for o in found] == [Failed] * 9
    assert {str(o.error) for o in found if isinstance(o, Failed)} == {"the process for cpu died 3 times."}
    assert isinstance(found[0], Failed) and isinstance(found[0].error, WorkerError)
    assert list(upscale_files(folder, replace(settings, fail_fast=True), None))[1:] == []


def test_a_run_that_is_stopped_ends_soon_and_leaves_no_process(two: None, folder: Path, settings: BatchSettings):
    for index in range(40):
        picture(folder / f"1{index:02}.png", (9, 7), seed=index)
    run = upscale_files(folder, settings)
    found = [next(run)]
    run.stop()
    found += run
    assert len(found) < 30 and not workers()
    results = [path for path in Path(str(settings.output)).iterdir() if not path.name.startswith(".")]
    assert {Path(o.output) for o in found if isinstance(o, Done)} == set(results)


def test_damaged_weights_end_the_run(two: None, folder: Path, settings: BatchSettings, tmp_path: Path):
    import shutil

    shutil.copytree(str(settings.weights), tmp_path / "bad")
    (tmp_path / "bad" / "model.safetensors").write_bytes(b"damaged")
    with pytest.raises(CheckpointError, match=r"model\.safetensors"):
        list(upscale_files(folder, replace(settings, weights=str(tmp_path / "bad"))))
    assert not workers()


def test_they_do_not_outlive_a_run_that_is_killed(folder: Path, settings: BatchSettings, tmp_path: Path):
    for index in range(200):
        picture(folder / f"1{index:02}.png", (30, 30), seed=index)
    with interpreter(["-c", SCRIPT, str(settings.weights), str(folder), str(tmp_path / "killed")]) as process:
        assert process.stdout is not None and process.stdout.readline()
        mine = workers(psutil.Process(process.pid))
        assert len(mine) == 2
        process.kill()
    _, alive = psutil.wait_procs(mine, timeout=30)
    assert not alive


def test_one_that_nobody_listens_to_gives_up_its_pictures(folder: Path, settings: BatchSettings):
    for index in range(200):
        picture(folder / f"1{index:02}.png", (30, 30), seed=index)
    with interpreter(["-m", "srspace.batch.worker"], stdin=subprocess.PIPE) as process:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(task(folder, settings))
        process.stdin.flush()
        assert isinstance(pickle.load(process.stdout)[0], Done)
        process.stdin.close()
        process.stdout.read()
    assert process.returncode == 1


def test_one_that_is_asked_to_end_while_it_loads_ends_at_once(folder: Path, settings: BatchSettings):
    script = """
import time
from srspace.batch import worker

worker.Workshop = lambda settings: time.sleep(600)
worker.main()
"""
    with interpreter(["-c", script], stdin=subprocess.PIPE) as process:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(task(folder, settings) + STOP)
        process.stdin.flush()
        assert process.stdout.read() == b"" and process.wait(30) == 0


def test_a_part_of_a_plan(folder: Path, settings: BatchSettings):
    part = PartOfPlan(planned(folder, settings), range(1, 9, 3))
    assert len(part) == 3
    assert [Path(decide().input).name for decide in part.decisions(Made())] == ["01.png", "04.png", "07.png"]


class TestWhen:
    @pytest.fixture(autouse=True)
    def gpus(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def present(names: str) -> list[torch.device]:
            count = 4 if names == "cuda:all" else 0
            return [torch.device("cuda", k) for k in range(count)] or [torch.device(n) for n in names.split(",")]

        monkeypatch.setattr("srspace.devices.pick_devices", present)
        monkeypatch.setattr(processes, "FEWEST", 2)

    def found(self, folder: Path, settings: BatchSettings, **changes: object) -> list[str]:
        settings = replace(settings, **{"device": "cuda:all"} | changes)  # type: ignore[arg-type]
        return processes.devices_for(settings, planned(folder, settings))

    def test_several_gpus_get_one_each_where_there_are_enough_pictures(
        self, folder: Path, settings: BatchSettings, monkeypatch: pytest.MonkeyPatch
    ):
        assert self.found(folder, settings) == ["cuda:0", "cuda:1", "cuda:2", "cuda:3"]
        assert self.found(folder, settings, device="cuda:1,cuda:1") == ["cuda:1", "cuda:1"]
        monkeypatch.setattr(processes, "FEWEST", 3)
        assert self.found(folder, settings) == []

    @pytest.mark.parametrize("device", ["cuda", "cuda:1", "cpu,cpu", "cpu"])
    def test_one_gpu_and_cpus_get_none(self, folder: Path, settings: BatchSettings, device: str):
        assert self.found(folder, settings, device=device) == []

    def large(self, monkeypatch: pytest.MonkeyPatch, *, gigabytes: int = 80, cores: int = 64) -> None:
        monkeypatch.setattr("srspace.devices.total_memory", lambda device: gigabytes * 2**30)
        monkeypatch.setattr("srspace.devices.usable_cores", lambda: cores)
        monkeypatch.setattr("srspace.devices.takes_several_processes", lambda device: device.index != 3)
        monkeypatch.setattr(processes, "MANY", 4)

    @pytest.mark.parametrize(
        ("gigabytes", "cores", "device", "expected"),
        [
            (80, 64, "cuda", ["cuda:0"] * 4),
            (80, 64, "cuda:2", ["cuda:2"] * 4),
            (40, 64, "cuda", ["cuda:0"] * 2),
            (24, 64, "cuda", []),
            (80, 15, "cuda", ["cuda:0"] * 3),
            (80, 16, "cuda:0,cuda:1", ["cuda:0", "cuda:1"] * 2),
            (80, 64, "cuda:1,cuda:1", ["cuda:1", "cuda:1"]),
        ],
    )
    def test_many_small_pictures_get_several_on_a_large_gpu(
        self, folder: Path, settings: BatchSettings, monkeypatch: pytest.MonkeyPatch, gigabytes: int, cores: int,
        device: str, expected: list[str],
    ):  # fmt: skip
        self.large(monkeypatch, gigabytes=gigabytes, cores=cores)
        assert self.found(folder, settings, device=device) == expected

    def test_otherwise_a_gpu_gets_one_of_this_process(
        self, folder: Path, settings: BatchSettings, monkeypatch: pytest.MonkeyPatch
    ):
        self.large(monkeypatch)
        limited = SamplingConfig(samples=2, max_memory=2**32)
        assert self.found(folder, settings, device="cuda", sampling=limited) == []
        assert self.found(folder, settings, device="cuda:3") == []
        monkeypatch.setattr(processes, "SMALL", 68)
        assert self.found(folder, settings, device="cuda") == []
        monkeypatch.setattr(processes, "SMALL", 69)
        assert len(self.found(folder, settings, device="cuda")) == 4
        monkeypatch.setattr(processes, "MANY", 9)
        assert len(self.found(folder, settings, device="cuda")) == 4
        assert self.found(folder, settings, device="cuda:0,cuda:1") == ["cuda:0", "cuda:1"]
        monkeypatch.setattr(processes, "MANY", 10)
        assert self.found(folder, settings, device="cuda") == []

    def test_a_mode_that_only_this_process_knows_stays_here(self, folder: Path, settings: BatchSettings):
        assert self.found(folder, settings, mode=replace(modes.find("mean"), help="mine")) == []

    def test_what_goes_to_standard_output_stays_here(self, settings: BatchSettings, tmp_path: Path):
        source = picture(tmp_path / "in" / "a.png")
        for number in range(3):  # its results are left out
            (_,) = upscale_files(source, replace(settings, output=source.with_name(f"{number}.png"), records=None))
        for output, expected in ((tmp_path / "out", ["cuda:0", "cuda:1"]), ("-", [])):
            given = replace(settings, device="cuda:0,cuda:1", output=output)
            plan = planned(source.parent, given)
            assert len(plan) == 4 and processes.devices_for(given, plan) == expected


def test_a_process_sees_its_own_gpu_alone(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert processes._environment("cuda:2")["CUDA_VISIBLE_DEVICES"] == "2"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,GPU-5")
    assert processes._environment("cuda:1")["CUDA_VISIBLE_DEVICES"] == "GPU-5"
    assert processes._environment("cpu")["CUDA_VISIBLE_DEVICES"] == "4,GPU-5"


def test_processes_on_one_device_share_its_memory(
    folder: Path, settings: BatchSettings, monkeypatch: pytest.MonkeyPatch
):
    given: dict[str, BatchSettings] = {}

    class Worker:
        def __init__(self, settings, plan, indices, device, recorded, events) -> None:
            self.told, self.over = deque(), True
            given[device] = settings

        def stop(self) -> None:
            pass

        end = stop

    monkeypatch.setattr(processes, "_Worker", Worker)
    settings = replace(settings, sampling=SamplingConfig(samples=2, max_memory=2**32))
    shop = workshop.Workshop(settings)
    plan = planned(folder, shop.settings)
    flow = processes.ProcessFlow(shop, plan, ["cuda:0", "cuda:1", "cuda:1"], None, None)
    flow.stop()
    assert list(flow.outcomes()) == []
    limits = [given[device].sampling.max_memory for device in ("cuda:0", "cuda:1")]
    assert limits == [2**32, 2**31]
