from __future__ import annotations

import importlib.util
import json
import shutil
from pathlib import Path
from types import ModuleType

import pytest

from srspace import hub
from srspace.errors import WeightsError

ROOT = Path(__file__).parents[1]


def script(name: str) -> ModuleType:
    """A script of CI, as a module."""
    spec = importlib.util.spec_from_file_location(name, ROOT / ".ci" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_bundled_weights_are_compared_with_their_checksum_whenever_they_are_loaded(
    catalogue: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    shutil.copytree(catalogue, tmp_path / "weights")
    monkeypatch.setattr("srspace.hub.weights_root", lambda: tmp_path / "weights")
    file = tmp_path / "weights" / "srflow-da-x4-lite" / "model.safetensors"
    assert hub.resolve_weights("srflow-da-x4-lite") == file.parent
    changed = bytearray(file.read_bytes())
    changed[-1] ^= 1
    file.write_bytes(changed)
    with pytest.raises(WeightsError, match="does not have the checksum of the catalogue"):
        hub.resolve_weights("srflow-da-x4-lite")


def test_the_bill_of_materials_names_what_no_package_manager_knows_of():
    found = {part["name"]: part for part in script("sbom").bundled()}
    assert set(hub.load_catalog()) | {"img-comparison-slider"} == set(found)
    assert all(part["licenses"] and len(part["hashes"]) == 1 for part in found.values())
    vendored = {p.name for p in (ROOT / "srspace/report/page/vendor").iterdir() if p.is_dir()}
    assert vendored <= set(found), "every folder stands in the table of its README"
    flow = hub.load_catalog()["srflow-da-x4-lite"]
    assert found["srflow-da-x4-lite"]["hashes"][0]["content"] == flow.files[1].sha256


def test_without_a_network_vulnerabilities_are_not_looked_up_and_nothing_fails(monkeypatch, capsys):
    audit = script("audit")
    monkeypatch.setattr(audit, "DATABASE", "http://127.0.0.1:9/")
    assert audit.main() == 0 and "cannot be reached" in capsys.readouterr().out


@pytest.mark.parametrize(("vulnerable", "code"), [([], 0), ([{"id": "X-1", "fix_versions": ["2"]}], 1)])
def test_a_known_vulnerability_fails_and_is_named(tmp_path: Path, monkeypatch, capsys, vulnerable: list, code: int):
    audit = script("audit")
    (tmp_path / "answer.json").write_text("{}")
    monkeypatch.setattr(audit, "DATABASE", (tmp_path / "answer.json").as_uri())
    packages = [{"name": "left", "version": "1", "vulns": vulnerable}, {"name": "skipped", "skip_reason": "none"}]

    def answered(command: list[str], **_):
        Path(command[command.index("--output") + 1]).write_text(json.dumps({"dependencies": packages}))

    monkeypatch.setattr(audit.subprocess, "run", answered)
    assert audit.main() == code
    assert ("left 1 is known to be vulnerable (X-1); fixed in 2." in capsys.readouterr().out) == bool(code)
