from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from srspace import hub, modes
from srspace.errors import NoFlowError, NoFusionError, WeightsError
from srspace.families import CLEAN, FAMILIES, REAL, serving
from tests.catalogue import write_catalogue


def test_a_mode_is_served_by_the_families_that_have_its_network(catalogue: Path):
    assert serving(modes.find("rrdb")) == {CLEAN.weights: None, REAL.weights: None}
    assert serving(modes.find("dial")) == {CLEAN.weights: "dial-x4-lite", REAL.weights: "dial-x4-real-lite"}
    assert serving(modes.find("fusion-l1")) == {CLEAN.weights: "fusion-l1-x4-lite"}
    with pytest.raises(NoFusionError) as missing:
        serving(modes.find("fusion-lpips"))
    assert missing.value.weights == CLEAN.weights


def test_a_family_that_the_catalogue_lacks_serves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folder = write_catalogue(tmp_path, real=False)
    monkeypatch.setattr("srspace.hub.weights_root", lambda: folder)
    assert serving(modes.find("dial")) == {CLEAN.weights: "dial-x4-lite"}


def test_a_fusion_network_brings_its_flow(catalogue: Path, tiny: Path):
    assert hub.base_flow("dial-x4-real-lite") == REAL.weights
    assert hub.base_flow(str(catalogue / "fusion-l1-x4-lite")) == CLEAN.weights, "a copy in a folder is recognized"
    for unknown in (str(tiny / "fusion"), "hf://owner/network", CLEAN.weights):
        with pytest.raises(NoFlowError):
            hub.base_flow(unknown)


def test_auto_stands_for_no_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "auto").mkdir()
    monkeypatch.chdir(tmp_path)
    for ask in (hub.resolve_weights, hub.weights_scale):
        with pytest.raises(WeightsError, match="must be named"):
            ask("auto")
    assert hub.resolve_weights("./auto") == Path("./auto"), "a folder of that name is named by a path"


def test_families_are_known_without_torch():
    code = (
        "import sys; from srspace.families import FAMILIES, serving; from srspace import modes, assessment;"
        "serving(modes.find('rrdb')); import srspace; srspace.Assessment; print('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
    assert len({family.weights for family in FAMILIES}) == 2
