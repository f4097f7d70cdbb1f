from __future__ import annotations

import pickle
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import srspace
from srspace.batch import (
    BatchSettings,
    Done,
    Failed,
    Kept,
    Made,
    Plan,
    Progress,
    Skipped,
    earlier,
    engine,
    pipeline,
    upscale_files,
)
from srspace.batch.deciding import Named
from srspace.batch.inputs import find_inputs
from srspace.config import SamplingConfig
from srspace.errors import ImageError, UsageError
from srspace.images import read_header
from srspace.upscaler import Upscaler
from tests.pictures import picture


@pytest.fixture
def settings(tiny: Path, tmp_path: Path) -> BatchSettings:
    return BatchSettings(weights=str(tiny / "x4"), mode="rrdb", output=tmp_path / "out")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for index, name in enumerate(("a.png", "b.png", "c.png")):
        picture(tmp_path / "in" / name, seed=index)
    return tmp_path / "in"


def test_files_are_upscaled_from_python_without_a_word(folder: Path, settings: BatchSettings, capfd):
    outcomes = list(srspace.upscale_files([folder / "a.png", str(folder / "b.png")], settings))
    assert [type(o) for o in outcomes] == [Done, Done]
    assert [(o.input, o.output) for o in outcomes] == [
        (str(folder / name), str(folder.parent / "out" / f"{name[0]}_x4.png")) for name in ("a.png", "b.png")
    ]
    with Image.open(outcomes[0].output) as image:
        assert image.size == (outcomes[0].width, outcomes[0].height) == (32, 24)
    assert [type(o) for o in upscale_files(str(folder), settings)] == [Kept, Kept, Done], "a single path will do"
    assert capfd.readouterr() == ("", "")


def test_no_header_is_read_twice_and_the_first_picture_comes_before_the_last_header(
    folder: Path, settings: BatchSettings, monkeypatch: pytest.MonkeyPatch
):
    opened = []

    def counted(path: Path):
        opened.append(path.name)
        return read_header(path)

    monkeypatch.setattr(earlier, "read_header", counted)
    monkeypatch.setattr(pipeline, "WINDOW", 2)
    outcomes = upscale_files(folder, settings)
    assert isinstance(next(outcomes), Done)
    assert "c.png" not in opened, "it is beyond what is looked at in advance"
    assert [type(o) for o in outcomes] == [Done, Done] and sorted(opened) == ["a.png", "b.png", "c.png"]
    opened.clear()
    assert {type(o) for o in upscale_files(folder, settings)} == {Kept}
    assert set(Counter(opened).values()) == {1} and len(opened) == 6


def test_a_loop_that_is_left_leaves_the_others_undone_and_no_thread(
    folder: Path, settings: BatchSettings, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(pipeline, "WINDOW", 2)
    outcomes = upscale_files(folder, settings)
    next(outcomes)
    outcomes.close()
    names = [p.name for p in (folder.parent / "out").iterdir()]
    assert "a_x4.png" in names and "c_x4.png" not in names and not [n for n in names if "part" in n]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("srspace")]
    assert next(outcomes, None) is None


@pytest.mark.parametrize(
    ("paths", "changes", "error"),
    [
        (["missing.png"], {}, UsageError),
        ([], {}, UsageError),
        (None, {"weights": "nothing"}, srspace.SRSpaceError),
        (None, {"device": "abacus"}, UsageError),
    ],
)
def test_mistakes_are_raised_by_the_call(folder: Path, settings: BatchSettings, paths, changes: dict, error: type):
    from dataclasses import replace

    with pytest.raises(error):
        upscale_files(folder if paths is None else paths, replace(settings, **changes))
    assert not (folder.parent / "out").exists()


def test_importing_the_engine_loads_neither_torch_nor_a_command_line():
    code = (
        "import sys, srspace; srspace.BatchSettings\n"
        "try: srspace.upscale_files('missing')\n"
        "except srspace.SRSpaceError: print([m for m in ('torch', 'typer', 'rich', 'click') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


@pytest.mark.parametrize("stage", ["read_picture", "check_side", "write_picture", "Upscaler.upscale"])
def test_whatever_happens_to_one_picture_ends_in_its_outcome(
    folder: Path, settings: BatchSettings, monkeypatch: pytest.MonkeyPatch, stage: str
):
    picture(folder / "b.png", (9, 6))
    place, name = (Upscaler, "upscale") if "." in stage else (engine, stage)
    whole = getattr(place, name)

    def fragile(*arguments, **options):
        told = f"{arguments[1:]}{options}" if name != "upscale" else str(arguments[1].width)
        if any(word in told for word in ("b.png", "b_x4.png", "(36, 24)")) or told == "9":
            raise ZeroDivisionError("a bug")
        return whole(*arguments, **options)

    monkeypatch.setattr(place, name, fragile)
    outcomes = list(upscale_files(folder, settings))
    assert [type(o) for o in outcomes] == [Done, Failed, Done]
    assert isinstance(outcomes[1].error, ZeroDivisionError)
    assert sorted(p.name for p in (folder.parent / "out").iterdir()) == ["a_x4.png", "c_x4.png"]


def test_an_interruption_ends_the_run(folder: Path, settings: BatchSettings, monkeypatch: pytest.MonkeyPatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    for name in ("upscale", "upscale_many"):  # whichever takes them
        monkeypatch.setattr(Upscaler, name, interrupted)
    with pytest.raises(KeyboardInterrupt):
        next(upscale_files(folder, settings))
    assert list((folder.parent / "out").iterdir()) == []


def test_progress_tells_which_picture_and_how_far(folder: Path, settings: BatchSettings):
    seen: list[Progress] = []
    (folder / "d.png").write_bytes(b"")
    list(upscale_files(folder, settings, seen.append))
    starts = sorted((p for p in seen if p.share == 0), key=lambda p: p.index)
    assert [(Path(p.name).name, p.index, p.total) for p in starts] == [
        (f"{name}.png", index, 4) for index, name in enumerate("abcd")
    ]
    assert {p.index for p in seen if p.share == 1} == {0, 1, 2, 3}


def test_stages_work_alone_and_those_that_need_no_weights_go_to_other_processes(
    folder: Path, settings: BatchSettings, tiny: Path
):
    upscaler = Upscaler.load(settings.weights, modes=["rrdb"], device="cpu", precision="fp32")
    made = Made.by(settings, fusion=None, scale=4, device="cpu", precision="fp32")
    read = pickle.loads(pickle.dumps(engine.Reader(settings, Named(made), 4)))
    write = pickle.loads(pickle.dumps(engine.Writer(settings)))
    compute = engine.Computer(settings, lambda made: upscaler)
    plan = Plan(find_inputs([folder], recursive=False), settings, 4)
    decoded = [pickle.loads(pickle.dumps(read(job))) for job in plan.decide(made)]  # all read, then all computed
    computed = [pickle.loads(pickle.dumps(compute(d))) for d in decoded]
    done = [write(c) for c in computed]
    for outcome, other in zip(done, upscale_files(folder, settings_beside(settings, folder)), strict=True):
        assert Path(outcome.output).read_bytes() == Path(other.output).read_bytes()


def settings_beside(settings: BatchSettings, folder: Path) -> BatchSettings:
    from dataclasses import replace

    return replace(settings, output=folder.parent / "again", device="cpu", precision="fp32")


def test_a_kept_result_tells_what_its_mark_says(folder: Path, tiny: Path):
    weights, source = str(tiny / "x4"), folder / "a.png"
    first = BatchSettings(weights=weights, sampling=SamplingConfig(temperature=0.3, samples=2, seed=5))
    assert [type(o) for o in upscale_files(source, first)] == [Done]
    (kept,) = upscale_files(source, BatchSettings(weights=weights, mode="rrdb"))
    record = kept.record()
    assert (record["status"], record["mode"], record["tau"], record["n"], record["seed"]) == ("kept", "mean", 0.3, 2, 5)
    assert (record["weights"], record["scale"], record["width"], record["height"]) == ("x4", 4, 32, 24)
    assert record["device"] is None and record["seconds"] is None and kept.differs
    (kept,) = upscale_files(source, first)
    assert not kept.differs
    picture(folder / "a_x4.png", (5, 5))  # somebody else's
    (kept,) = upscale_files(source, first)
    assert (kept.made, kept.width, kept.record()["mode"]) == (Made(), 5, None)


def test_skipped_results_tell_the_run_that_skipped_them(folder: Path, tiny: Path):
    settings = BatchSettings(weights=str(tiny / "x4"), mode="rrdb")
    list(upscale_files(folder, settings))
    outcomes = list(upscale_files(folder, settings))
    assert [type(o) for o in outcomes] == [Kept, Skipped] * 3
    assert outcomes[1].output is None and outcomes[1].made.mode == "rrdb" and "made from a.png" in outcomes[1].reason


@pytest.mark.parametrize("mode", ["mean", "median", "sample"])
def test_candidates_are_those_that_the_upscaler_draws(folder: Path, tiny: Path, tmp_path: Path, mode: str):
    settings = BatchSettings(
        weights=str(tiny / "x4"), mode=mode, sampling=SamplingConfig(samples=2, seed=3), device="cpu",
        save_samples=tmp_path / "s", output=tmp_path / "out",
    )  # fmt: skip
    assert [type(o) for o in upscale_files(folder / "a.png", settings)] == [Done]
    candidates: list[srspace.Picture] = []
    Upscaler.load(settings.weights, device="cpu").upscale(
        srspace.read_picture(folder / "a.png"), sampling=settings.sampling,
        on_candidate=lambda _, candidate: candidates.append(candidate),
    )  # fmt: skip
    saved = sorted((tmp_path / "s").iterdir())
    assert len(saved) == settings.samples
    for path, candidate in zip(saved, candidates, strict=False):
        assert np.abs(srspace.read_picture(path).rgb - candidate.rgb.clip(0, 1)).max() <= 0.5 / 255 + 1e-6


def test_a_damaged_picture_is_named(folder: Path, settings: BatchSettings):
    data = (folder / "b.png").read_bytes()
    (folder / "b.png").write_bytes(data[: len(data) // 2])
    outcomes = list(upscale_files(folder, settings))
    assert isinstance(outcomes[1], Failed) and isinstance(outcomes[1].error, ImageError)
    assert str(outcomes[1].error).startswith(f"{folder / 'b.png'} is damaged")
