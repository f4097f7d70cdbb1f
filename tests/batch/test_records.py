"""A run that was interrupted, in whatever way, goes on where it was."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from srspace.batch import BatchSettings, Done, Failed, Kept, Outcome, upscale_files
from srspace.batch.records import Records
from srspace.config import SamplingConfig
from srspace.errors import NoRecordsError, NotRecordsError, OutputError, RecordsInUseError
from srspace.images import read_picture
from tests.pictures import picture


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for index, name in enumerate(("a.png", "b.png", "c.png")):
        picture(tmp_path / "in" / name, seed=index)
    return tmp_path / "in"


@pytest.fixture
def settings(tiny: Path, tmp_path: Path) -> BatchSettings:
    return BatchSettings(
        weights=str(tiny / "x4"), mode="rrdb", output=tmp_path / "out", device="cpu", records=tmp_path / "r.jsonl"
    )


def run(folder: Path, settings: BatchSettings) -> dict[str, Outcome]:
    return {Path(o.input).stem: o for o in upscale_files(folder, settings)}


def kinds(outcomes: dict[str, Outcome]) -> dict[str, type]:
    return {name: type(outcome) for name, outcome in outcomes.items()}


def lines(settings: BatchSettings) -> list[dict]:
    return [json.loads(line) for line in Path(str(settings.records)).read_text().splitlines()]


def test_every_picture_has_a_record_with_all_that_its_result_depends_on(folder: Path, settings: BatchSettings):
    import hashlib

    from srspace.hub import sha256

    (folder / "bad.png").write_bytes(b"no picture")
    drawn = replace(settings, mode="mean", sampling=SamplingConfig(samples=2, seed=3))
    outcomes = run(folder, drawn)
    found = {Path(record["input"]).stem: record for record in lines(settings)}
    assert found == {name: outcome.record() for name, outcome in outcomes.items()}
    a = found["a"]
    assert a["input_sha256"] == hashlib.sha256((folder / "a.png").read_bytes()).hexdigest()
    assert (a["input_width"], a["input_height"], a["width"], a["height"]) == (8, 6, 32, 24)
    assert a["weights_sha256"] == sha256(Path(settings.weights) / "model.safetensors") and a["fusion_sha256"] is None
    assert (a["mode"], a["seed"], a["tau"], a["n"], a["error"]) == ("mean", 3, 0.9, 2, None) and a["lr_psnr"] > 0
    assert "not a picture" in found["bad"]["error"] and found["bad"]["status"] == "failed"


def test_what_is_recorded_is_kept_and_what_failed_is_tried_again(folder: Path, settings: BatchSettings):
    whole = (folder / "b.png").read_bytes()
    (folder / "b.png").write_bytes(whole[:-20])
    assert kinds(run(folder, settings)) == {"a": Done, "b": Failed, "c": Done}
    (folder / "b.png").write_bytes(whole)
    assert kinds(run(folder, settings)) == {"a": Kept, "b": Done, "c": Kept}
    assert [(Path(r["input"]).stem, r["status"]) for r in lines(settings)[3:]] == [("b", "done")]


@pytest.mark.parametrize("overwrite", [False, True])
def test_content_and_settings_tell_what_is_done(folder: Path, settings: BatchSettings, overwrite: bool):
    for index, name in enumerate("abc"):  # of different sizes: rounding depends on how many are computed together
        picture(folder / f"{name}.png", (8 + index, 6), seed=index)
    again = replace(settings, overwrite=overwrite)
    run(folder, again)
    picture(folder / "b.png", (9, 6), seed=7)
    (folder.parent / "out" / "c_x4.png").unlink()
    assert kinds(run(folder, again)) == {"a": Kept, "b": Done, "c": Done}
    changed = replace(again, mode="mean", sampling=SamplingConfig(samples=2))
    assert kinds(run(folder, changed)) == {"a": Done, "b": Done, "c": Done}
    assert kinds(run(folder, changed)) == {"a": Kept, "b": Kept, "c": Kept}
    seed = replace(changed, sampling=SamplingConfig(samples=2, seed=1))
    assert kinds(run(folder, seed)) == {"a": Done, "b": Done, "c": Done}
    elsewhere = replace(seed, precision="bf16", sampling=replace(seed.sampling, tile=16), retries=1)
    assert set(kinds(run(folder, elsewhere)).values()) == {Kept}, "what changes no more than rounding does not count"
    expected = folder.parent / "expected"
    for name, outcome in run(folder, replace(seed, output=expected, records=None)).items():
        there = read_picture(folder.parent / "out" / f"{name}_x4.png").rgb
        assert np.array_equal(there, read_picture(Path(str(outcome.output))).rgb), (
            "results are those of the last settings"
        )


def test_other_weights_of_the_same_name_are_other_settings(folder: Path, settings: BatchSettings, tiny: Path):
    import shutil

    weights = folder.parent / "mine"
    shutil.copytree(tiny / "x4", weights)
    mine = replace(settings, weights=str(weights))
    run(folder, mine)
    assert set(kinds(run(folder, mine)).values()) == {Kept}
    data = bytearray((weights / "model.safetensors").read_bytes())
    data[-1] ^= 1
    (weights / "model.safetensors").write_bytes(data)
    assert set(kinds(run(folder, mine)).values()) == {Done}
    config = weights / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"recipe": "another"}))
    assert set(kinds(run(folder, mine)).values()) == {Done}
    assert set(kinds(run(folder, mine)).values()) == {Kept}


def test_results_of_others_are_never_replaced(folder: Path, settings: BatchSettings):
    theirs = picture(folder.parent / "out" / "a_x4.png", seed=9).read_bytes()
    assert kinds(run(folder, settings)) == {"a": Kept, "b": Done, "c": Done}
    changed = replace(settings, mode="mean", sampling=SamplingConfig(samples=2))
    assert kinds(run(folder, changed)) == {"a": Kept, "b": Done, "c": Done}
    assert (folder.parent / "out" / "a_x4.png").read_bytes() == theirs
    assert sum(Path(r["input"]).stem == "a" for r in lines(settings)) == 1, "that it was kept is told once"


def test_a_result_whose_record_was_lost_is_kept(folder: Path, settings: BatchSettings):
    run(folder, settings)
    path = Path(str(settings.records))
    data = path.read_bytes()
    path.write_bytes(data[: data.rindex(b"\n", 0, -1) + 30])
    assert kinds(run(folder, settings)) == {"a": Kept, "b": Kept, "c": Kept}
    assert len(lines(settings)) == 3, "the torn line was cut off"


def test_without_resuming_all_is_done_again_and_recorded_again(folder: Path, settings: BatchSettings):
    run(folder, settings)
    afresh = replace(settings, resume=False, overwrite=True)
    assert set(kinds(run(folder, afresh)).values()) == {Done} and len(lines(settings)) == 6


def test_a_folder_of_weights_and_samples_count(folder: Path, settings: BatchSettings):
    drawn = replace(settings, mode="sample")
    run(folder, drawn)
    saved = replace(drawn, save_samples=folder.parent / "s")
    assert set(kinds(run(folder, saved)).values()) == {Done} and len(list((folder.parent / "s").iterdir())) == 3


class TestFile:
    """The file itself."""

    def test_two_runs_do_not_share_it(self, folder: Path, settings: BatchSettings):
        outcomes = upscale_files(folder, settings)
        with pytest.raises(RecordsInUseError):
            upscale_files(folder, settings)
        outcomes.close()
        assert set(kinds(run(folder, settings)).values()) == {Done}

    @pytest.mark.parametrize("content", [b"\x89PNG\r\n", b"{}\n", b"[1, 2]\n"])
    def test_a_file_of_something_else_is_left_alone(self, folder: Path, settings: BatchSettings, content: bytes):
        path = Path(str(settings.records))
        path.write_bytes(content)
        with pytest.raises(NotRecordsError):
            upscale_files(folder, settings)
        assert path.read_bytes() == content

    def test_a_place_that_cannot_be_written_is_told(self, folder: Path, settings: BatchSettings):
        with pytest.raises(OutputError, match="cannot be written"):
            upscale_files(folder, replace(settings, records=folder))
        with pytest.raises(NoRecordsError):
            BatchSettings(resume=True)

    def test_a_full_disk_leaves_whole_lines(self, tmp_path: Path, folder: Path, settings: BatchSettings, monkeypatch):
        run(folder, settings)
        before = Path(str(settings.records)).read_bytes()
        records = Records(str(settings.records))

        class Full:
            def __init__(self, file) -> None:
                self.file, self.seek, self.truncate = file, file.seek, file.truncate

            def write(self, data: bytes) -> int:
                return self.file.write(data[:10])

        records._file = Full(records._file)
        with pytest.raises(OutputError, match="No space left"):
            records.add(Failed("x.png", None, next(iter(run_made(folder, settings))), ValueError("why")))
        assert Path(str(settings.records)).read_bytes() == before


def run_made(folder: Path, settings: BatchSettings):
    return [outcome.made for outcome in run(folder, replace(settings, records=None)).values()]
