from __future__ import annotations

import json
import pickle

import pytest

from srspace.batch import BatchSettings, Done, Failed, Kept, Made, Outcome, Skipped
from srspace.config import SamplingConfig
from srspace.errors import ImageError, PictureSizeError
from srspace.modes import Mode, Parameter
from srspace.provenance import Provenance
from srspace.sampling import Redraw

MADE = Made("weights", None, "mean", 0.9, 10, 0, 4, "cpu", "fp32", "independent")
OUTCOMES = [
    Done("a.png", "b.png", MADE, 32, 24, 0.12345, (Redraw(3, 0.7, 2, "why"),)),
    Kept("a.png", "b.png", Made(mode="rrdb", n=0), 32, 24, MADE),
    Skipped("a.png", None, MADE, "it was made from x"),
    Failed("a.png", "b.png", MADE, PictureSizeError("webp", 16383, 20000, 1)),
    Failed("a.png", "b.png", MADE, RuntimeError("a bug")),
]


@pytest.mark.parametrize("outcome", OUTCOMES, ids=lambda o: o.status)
def test_records_have_the_same_keys_and_go_into_json(outcome: Outcome):
    record = outcome.record()
    assert list(record) == list(OUTCOMES[0].record())
    assert json.loads(json.dumps(record)) == record
    assert record["status"] == outcome.status == type(outcome).__name__.lower()


@pytest.mark.parametrize("outcome", OUTCOMES[:4], ids=lambda o: o.status)
def test_outcomes_go_to_other_processes(outcome: Outcome):
    again = pickle.loads(pickle.dumps(outcome))
    assert type(again) is type(outcome) and again.record() == outcome.record()


def test_an_error_keeps_its_facts_in_another_process():
    error = pickle.loads(pickle.dumps(PictureSizeError("webp", 16383, 20000, 1)))
    assert (error.format, error.most) == ("webp", 16383) and "20000x1" in str(error)
    assert str(pickle.loads(pickle.dumps(ImageError("plain.")))) == "plain."


def test_what_each_kind_tells():
    done, kept, skipped, failed, bug = (outcome.record() for outcome in OUTCOMES)
    assert done["redraws"] == [{"index": 3, "tau": 0.7, "attempts": 2, "reason": "why"}]
    assert (done["seconds"], done["width"], done["height"]) == (0.123, 32, 24)
    assert (kept["mode"], kept["n"], kept["tau"], kept["device"]) == ("rrdb", 0, None, None)
    assert skipped["error"] == "it was made from x" and skipped["output"] is None
    assert failed["error"] == "webp holds at most 16383 pixels a side, not 20000x1."
    assert bug["error"] == "unexpected RuntimeError('a bug')"


def made(mode: str | Mode = "mean", fusion: str | None = None, **settings) -> Made:
    return Made.by(BatchSettings(mode=mode, **settings), fusion=fusion, scale=4, device="cpu", precision="fp32")


def test_settings_that_do_not_apply_are_not_told():
    drawn = made(sampling=SamplingConfig(temperature=0.5, samples=3, seed=7))
    assert (drawn.tau, drawn.n, drawn.seed) == (0.5, 3, 7)
    assert (lambda m: (m.tau, m.n, m.seed))(made("rrdb")) == (None, 0, None)
    assert made("sample").n == 1


def test_what_is_told_is_the_callers_to_change():
    toy = Mode("toy", "of a test", "nowhere:make", parameters=(Parameter("strength", 0.5, 0, 1, "How."),))
    one = made(toy)
    one.to_dict()["parameters"]["strength"] = one.to_dict()["mode"] = one.for_mark()["parameters"]["strength"] = 0.75
    for told in (one.to_dict(), one.for_mark()):
        assert (told["mode"], told["parameters"]) == ("toy", {"strength": 0.5})


def test_a_mark_gives_back_what_went_into_it():
    toy = Mode("toy", "of a test", "nowhere:make", parameters=(Parameter("strength", 0.5, 0, 1, "How."),))
    mirrored = made(sampling=SamplingConfig(latents="antithetic"))
    assert mirrored.for_mark()["latents"] == mirrored.latents == "antithetic"
    assert (
        "latents" not in made().for_mark() and Made.told_by(Provenance("", made().for_mark())).latents == made().latents
    )
    for original in (made(), mirrored, made("rrdb"), made(toy), made(toy, parameters={"strength": 0.25})):
        mark = Provenance.from_xmp(Provenance("", original.for_mark()).to_xmp())
        told = Made.told_by(mark)
        assert told.for_mark() == original.for_mark() and told.device is None
        assert not Kept("a", "b", told, 1, 1, original).differs
    assert made(toy).parameters == {"strength": 0.5}
    assert "parameters" not in made().for_mark(), "marks of earlier versions stay equal"


def test_folders_of_weights_are_marked_by_name(tmp_path):
    (tmp_path / "mine").mkdir()
    kept = made(weights=str(tmp_path / "mine"))
    assert kept.for_mark()["weights"] == "mine"
    assert not Kept("a", "b", Made.told_by(Provenance("", kept.for_mark())), 1, 1, kept).differs


@pytest.mark.parametrize(
    ("other", "differs"),
    [
        (made("rrdb"), True),
        (made(sampling=SamplingConfig(seed=1)), True),
        (made(weights="others"), True),
        (made(sampling=SamplingConfig(latents="antithetic")), True),
        (Made.by(BatchSettings(mode="mean"), fusion=None, scale=4, device="cuda:0", precision="bf16"), False),
    ],
)
def test_a_kept_result_of_other_settings_is_told_apart(other: Made, differs: bool):
    told = Made.told_by(Provenance("", other.for_mark()))
    assert Kept("a", "b", told, 1, 1, made()).differs == differs


def test_a_kept_file_without_a_mark_tells_nothing():
    kept = Kept("a", "b", Made.told_by(None), None, None, made())
    assert not kept.differs and kept.record()["mode"] is None and kept.record()["n"] is None
