from __future__ import annotations

from pathlib import Path

import pytest

from srspace.batch import BatchSettings, Failed, Job, Kept, Made, Plan, Skipped
from srspace.batch import earlier as earlier_module
from srspace.batch.inputs import find_inputs
from srspace.config import SamplingConfig
from srspace.errors import EarlierResultsError, ReplacedInputError, SharedTargetError, TerminalError, UsageError
from srspace.images import read_header, read_picture, write_picture
from srspace.provenance import Provenance, source_key
from tests.pictures import picture


def planned(*inputs: str | Path, recursive: bool = False, **settings) -> Plan:
    return Plan(find_inputs(inputs, recursive=recursive), BatchSettings(**settings), 4)


def result_of(source: Path, path: Path) -> Path:
    write_picture(read_picture(picture(path)), path, provenance=Provenance(source_key(source), {"mode": "mean"}))
    return path


@pytest.fixture
def headers(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files whose header was read, in order."""
    seen = []

    def reading(path: Path):
        seen.append(path.name)
        return read_header(path)

    monkeypatch.setattr(earlier_module, "read_header", reading)
    return seen


def test_jobs_carry_format_and_size(tmp_path: Path):
    picture(tmp_path / "in" / "a.png", (9, 5))
    picture(tmp_path / "in" / "sub" / "b.bmp", (3, 7))
    (tmp_path / "in" / "c.jpg").write_bytes(b"no picture")
    plan = planned(tmp_path / "in", recursive=True, output=tmp_path / "out", save_samples=tmp_path / "s")
    jobs = list(plan.decide(Made()))
    assert len(plan) == 3 and all(isinstance(job, Job) for job in jobs)
    assert [(job.format, job.size) for job in jobs] == [("png", (9, 5)), ("jpeg", None), ("png", (3, 7))]
    assert [job.target for job in jobs] == [
        tmp_path / "out" / name for name in ("a_x4.png", "c_x4.jpg", "sub/b_x4.png")
    ]
    assert jobs[2].candidates == tmp_path / "s" / "sub" / "b.bmp"


def test_headers_are_read_when_their_turn_comes_and_once(tmp_path: Path, headers: list[str]):
    for name in ("a.png", "b.png", "c.png", "d.png"):
        picture(tmp_path / name)
    result_of(tmp_path / "b.png", tmp_path / "b_x4.png")
    plan = planned(tmp_path)
    assert sorted(headers) == ["a.png", "b_x4.png"], "the first, and the one that a result would replace"
    decided = plan.decide(Made())
    assert isinstance(next(decided), Job) and len(headers) == 2
    assert isinstance(next(decided), Kept)
    assert isinstance(next(decided), Skipped) and "c.png" not in headers
    assert [type(d) for d in decided] == [Job, Job]
    assert sorted(headers) == sorted(set(headers)) == ["a.png", "b.png", "b_x4.png", "c.png", "d.png"]


def test_names_alone_tell_what_collides(tmp_path: Path, headers: list[str]):
    for folder in ("1", "2"):
        picture(tmp_path / folder / "a.png")
        picture(tmp_path / folder / "b.png")
    with pytest.raises(SharedTargetError, match="would both be written to"):
        planned(tmp_path / "1", tmp_path / "2", output=tmp_path / "out")
    assert len(headers) <= 3, "the first input, and the two that collide"


def test_a_result_shares_no_place_with_its_own_candidate(tmp_path: Path):
    source = picture(tmp_path / "a.png")
    with pytest.raises(SharedTargetError):
        planned(source, output=tmp_path / "a.png_001.png", save_samples=tmp_path, sampling=SamplingConfig(samples=2))


def test_candidates_never_replace_an_input(tmp_path: Path):
    picture(tmp_path / "a.png")
    picture(tmp_path / "a.png_001.png")
    arguments = {"output": tmp_path / "out", "save_samples": tmp_path, "sampling": SamplingConfig(samples=2)}
    with pytest.raises(ReplacedInputError, match=r"a\.png_001\.png would replace the input"):
        planned(tmp_path, **arguments)
    result_of(tmp_path / "a.png", tmp_path / "a.png_001.png")
    assert [type(d) for d in planned(tmp_path, **arguments).decide(Made())] == [Job, Skipped]


@pytest.mark.parametrize("output", ["one.png", "-"])
def test_one_output_is_enough_when_the_other_inputs_are_earlier_results(tmp_path: Path, output: str, monkeypatch):
    monkeypatch.chdir(tmp_path)
    source = picture(Path("a.png"))
    result = result_of(source, Path("a_x4.png"))
    decided = list(planned(result, source, output=output).decide(Made()))
    assert isinstance(decided[0], Skipped) and decided[0].reason == "it was made from a.png"
    assert isinstance(decided[1], Job) and decided[1].target == (None if output == "-" else Path(output))
    other = picture(Path("b.png"))
    if output == "-":
        with pytest.raises(UsageError, match="only one picture can go to standard output, not 2"):
            planned(result, source, other, output=output)
    else:
        decided = list(planned(result, source, other, output=output).decide(Made()))
        assert decided[1].target == Path("one.png/a_x4.png"), "with two, it is the name of a folder"


def test_nothing_but_earlier_results_is_a_mistake(tmp_path: Path):
    result_of(tmp_path / "gone.png", tmp_path / "a.png")
    with pytest.raises(EarlierResultsError):
        planned(tmp_path)
    assert [type(d) for d in planned(tmp_path, output=tmp_path / "out").decide(Made())] == [Job]
    assert [type(d) for d in planned(tmp_path / "a.png").decide(Made())] == [Job], "named alone"


def test_what_cannot_be_opened_fails_alone(tmp_path: Path):
    picture(tmp_path / "a.png")
    (tmp_path / "b.png").symlink_to("nowhere")
    decided = list(planned(tmp_path, output=tmp_path / "out").decide(Made()))
    assert isinstance(decided[0], Job) and isinstance(decided[1], Failed)
    assert str(decided[1].error).endswith("b.png is a broken link.")


def test_an_error_while_deciding_fails_that_picture_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    picture(tmp_path / "a.png")
    picture(tmp_path / "b.png")
    plan = planned(tmp_path, output=tmp_path / "out")

    def broken(path: Path):
        raise RuntimeError("a bug")

    monkeypatch.setattr(earlier_module, "read_header", broken)
    assert [type(d) for d in plan.decide(Made())] == [Job, Failed]


def test_pictures_are_not_written_to_terminals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    import sys

    source = picture(tmp_path / "a.png")
    planned(source, output="-")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    with pytest.raises(TerminalError):
        planned(source, output="-")


def test_candidates_need_a_folder(tmp_path: Path):
    with pytest.raises(UsageError, match="is a file; candidates need a folder"):
        planned(picture(tmp_path / "a.png"), save_samples=tmp_path / "a.png")
