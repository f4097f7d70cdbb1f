"""Weights chosen for each picture of a run."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from srspace.assessment import Assessment
from srspace.batch import BatchSettings, Done, Failed, Kept, Made, upscale_files
from srspace.batch.deciding import Chosen
from srspace.config import SamplingConfig
from srspace.errors import NoFlowError, NoFusionError, WeightsError
from srspace.families import CLEAN, REAL
from srspace.images import read_header, read_picture
from srspace.provenance import Provenance
from srspace.upscaler import Upscaler
from tests.catalogue import write_catalogue

FOUND = Assessment(REAL.weights, 0.9, ("noise of about 6/255",))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Clean, damaged, clean, damaged; and a file that is no picture."""
    (tmp_path / "in").mkdir()
    ramp = np.linspace(80, 150, 96).astype(np.uint8).reshape(8, 12, 1).repeat(3, 2)
    noise = np.random.default_rng(0).integers(0, 256, (8, 12, 3), np.uint8)
    for name, pixels in (("a", ramp), ("b", noise), ("c", ramp), ("d", noise)):
        Image.fromarray(pixels).save(tmp_path / "in" / f"{name}.png")
    (tmp_path / "in" / "e.png").write_bytes(b"no picture")
    return tmp_path / "in"


@pytest.fixture
def settings(tmp_path: Path) -> BatchSettings:
    return BatchSettings(mode="rrdb", output=tmp_path / "out", device="cpu")


def test_each_picture_of_a_folder_gets_its_own_weights(
    catalogue: Path, folder: Path, settings: BatchSettings, monkeypatch: pytest.MonkeyPatch
):
    loads: list[str] = []
    load = Upscaler.load.__func__
    monkeypatch.setattr(
        Upscaler, "load", classmethod(lambda cls, weights, **o: loads.append(weights) or load(cls, weights, **o))
    )
    (clean,) = upscale_files(folder / "a.png", settings)
    assert loads == [CLEAN.weights], "the other family is not loaded before it is needed"
    outcomes = list(upscale_files(folder, replace(settings, overwrite=True)))
    assert sorted(loads) == sorted([CLEAN.weights, CLEAN.weights, REAL.weights])
    assert clean.made == outcomes[0].made
    records = [outcome.record() for outcome in outcomes]
    assert [r["weights"] for r in records] == [CLEAN.weights, REAL.weights] * 2 + ["auto"]
    assert [r["status"] for r in records] == ["done"] * 4 + ["failed"]
    assert records[0]["assessment"] | {"score": 0} == {"family": CLEAN.weights, "score": 0, "reasons": []}
    assert records[1]["assessment"]["reasons"] and records[4]["assessment"] is None
    assert json.loads(json.dumps(records)) == records
    for outcome in outcomes[:2]:
        named = replace(settings, weights=outcome.made.weights, output=folder.parent / "named")
        (other,) = upscale_files(outcome.input, named)
        assert np.array_equal(read_picture(Path(outcome.output)).rgb, read_picture(Path(other.output)).rgb)
        mark = read_header(Path(outcome.output)).provenance.settings
        assert mark["weights"] == outcome.made.weights and mark["assessment"] == outcome.record()["assessment"]
        assert "assessment" not in read_header(Path(other.output)).provenance.settings
        assert other.record()["assessment"] is None


def test_results_of_either_family_are_kept(catalogue: Path, folder: Path, settings: BatchSettings):
    made = [o.made for o in upscale_files(folder, settings)]
    kept = list(upscale_files(folder, settings))
    assert [type(o) for o in kept] == [Kept] * 4 + [Failed]
    for outcome, original in zip(kept[:4], made, strict=False):
        assert outcome.made.weights == original.weights and outcome.made.assessment == original.assessment
        assert not outcome.differs
    named = list(upscale_files(folder, replace(settings, weights=CLEAN.weights)))
    assert [o.differs for o in named[:4]] == [False, True, False, True]
    other = list(upscale_files(folder, replace(settings, mode="sample")))
    assert all(o.differs for o in other[:4])


def test_results_of_other_weights_than_the_families_are_not_what_was_asked_for():
    asked = Made("auto", None, "rrdb", n=0)
    assert not Kept("a", "b", replace(asked, weights=REAL.weights), 1, 1, asked).differs
    assert Kept("a", "b", replace(asked, weights="mine"), 1, 1, asked).differs


def test_a_mode_that_the_family_cannot_serve_takes_the_other_one(
    catalogue: Path, folder: Path, settings: BatchSettings
):
    settings = replace(settings, mode="fusion-l1", sampling=SamplingConfig(samples=2))
    (outcome,) = upscale_files(folder / "b.png", settings)
    assert isinstance(outcome, Done)
    assert (outcome.made.weights, outcome.made.fusion) == (CLEAN.weights, "fusion-l1-x4-lite")
    assert outcome.made.assessment.family == REAL.weights
    with pytest.raises(NoFusionError):
        upscale_files(folder, replace(settings, mode="fusion-lpips"))


def test_a_named_network_brings_its_flow_for_all_pictures(
    catalogue: Path, folder: Path, settings: BatchSettings, tiny: Path
):
    settings = replace(settings, mode="dial", sampling=SamplingConfig(samples=1))
    for fusion, weights in (("dial-x4-real-lite", REAL.weights), ("dial-x4-lite", CLEAN.weights)):
        outcomes = list(upscale_files(folder, replace(settings, fusion=fusion, overwrite=True)))
        assert {(o.made.weights, o.made.fusion, o.made.assessment) for o in outcomes} == {(weights, fusion, None)}
    with pytest.raises(NoFlowError):
        upscale_files(folder, replace(settings, fusion=str(tiny / "fusion")))


def test_candidates_of_the_chosen_family_are_saved_and_completed(
    catalogue: Path, folder: Path, settings: BatchSettings, tmp_path: Path
):
    settings = replace(settings, mode="mean", sampling=SamplingConfig(samples=2), save_samples=tmp_path / "s")
    list(upscale_files(folder / "b.png", settings))
    kept = {path.name: path.read_bytes() for path in (tmp_path / "s").iterdir()}
    assert len(kept) == 2
    next((tmp_path / "out").iterdir()).unlink()
    (again,) = upscale_files(folder / "b.png", replace(settings, weights=REAL.weights))
    assert isinstance(again, Done), "candidates are the same, whether their weights were chosen or named"
    next((tmp_path / "out").iterdir()).unlink()
    (refused,) = upscale_files(folder / "b.png", replace(settings, weights=CLEAN.weights))
    assert isinstance(refused, Failed)
    assert {path.name: path.read_bytes() for path in (tmp_path / "s").iterdir()} == kept


def test_with_one_family_nothing_is_chosen_and_nothing_told(
    tmp_path: Path, folder: Path, settings: BatchSettings, monkeypatch: pytest.MonkeyPatch
):
    from tests.conftest import replaced_catalogue

    for root in replaced_catalogue(write_catalogue(tmp_path / "catalogue", real=False), monkeypatch):
        (root / "assessor" / "model.safetensors").unlink()
        outcomes = list(upscale_files(folder, settings))
        assert [type(outcome) for outcome in outcomes] == [Done] * 4 + [Failed]
        assert {(outcome.made.weights, outcome.made.assessment) for outcome in outcomes} == {(CLEAN.weights, None)}


def test_damaged_weights_end_the_run(
    tmp_path: Path, folder: Path, settings: BatchSettings, monkeypatch: pytest.MonkeyPatch
):
    from tests.conftest import replaced_catalogue

    for root in replaced_catalogue(write_catalogue(tmp_path / "catalogue"), monkeypatch):
        (root / REAL.weights / "model.safetensors").write_bytes(b"no tensors")
        outcomes = upscale_files(folder, settings)
        with pytest.raises(WeightsError, match="bytes instead of"):
            assert {type(outcome) for outcome in outcomes} <= {Done}
        assert next(outcomes, None) is None
        (root / REAL.weights / "model.safetensors").unlink()
        with pytest.raises(WeightsError, match=REAL.weights):
            upscale_files(folder, settings)


def test_a_decision_goes_to_other_processes(catalogue: Path, folder: Path):
    decide = pickle.loads(pickle.dumps(Chosen(Made("auto", mode="rrdb"), {CLEAN.weights: None, REAL.weights: None})))
    assert decide(read_picture(folder / "b.png")).weights == REAL.weights


def test_a_mark_gives_back_the_assessment_and_bears_strange_ones():
    made = Made(REAL.weights, None, "rrdb", n=0, assessment=FOUND)
    mark = Provenance.from_xmp(Provenance("", made.for_mark()).to_xmp())
    assert Made.told_by(mark).assessment == FOUND
    for strange in (7, [], {"family": 1, "score": 0.5, "reasons": []}, {"family": "a"}):
        assert Made.told_by(Provenance("", made.for_mark() | {"assessment": strange})).assessment is None
