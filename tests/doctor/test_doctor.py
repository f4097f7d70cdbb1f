"""A sound installation, and broken ones."""

from __future__ import annotations

import json
import shutil
import sys
import tomllib
from pathlib import Path

import pytest
import torch

from srspace import Upscaler, doctor, hub
from srspace.cli.main import main
from srspace.doctor import Finding, Level, environment, examine, extras, speed, weights
from srspace.errors import CheckpointError
from tests.networks import calm_flow

PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"


def findings(check: doctor.Check) -> dict[str, Finding]:
    return {finding.what: finding for finding in examine({"it": check})}


@pytest.fixture
def fake_torchvision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Another torchvision in front of the installed one."""

    def install(code: str, asks_for: str | None = None) -> None:
        (tmp_path / "torchvision").mkdir()
        (tmp_path / "torchvision" / "__init__.py").write_text(code, encoding="utf-8")
        about = tmp_path / "torchvision-0.1.dist-info"
        about.mkdir()
        wanted = f"Requires-Dist: torch=={asks_for}\n" if asks_for else ""
        text = f"Metadata-Version: 2.1\nName: torchvision\nVersion: 0.1\n{wanted}"
        (about / "METADATA").write_text(text, encoding="utf-8")
        for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
            monkeypatch.delitem(sys.modules, name)
        monkeypatch.syspath_prepend(tmp_path)

    return install


def test_a_torchvision_for_another_torch_is_named_with_both_versions(fake_torchvision):
    fake_torchvision("", asks_for="1.2.3")
    found = findings(environment.check_torchvision)["torchvision"]
    assert found.level is Level.WARNING
    assert found.text.startswith("version 0.1 was made for torch 1.2.3, but torch 2")


def test_a_torchvision_without_its_operators_is_worked_around(fake_torchvision):
    # As the real one: its operators are registered by a library that does not load.
    code = (
        "import torch\n"
        "if not hasattr(torch.ops.torchvision, 'nms'): raise RuntimeError('operator torchvision::nms does not exist')\n"
    )
    fake_torchvision(code)
    found = findings(environment.check_torchvision)["torchvision"]
    assert found.level in (Level.WARNING, Level.OK)
    if found.level is Level.WARNING:  # else another test has declared the operators in this process
        assert "torchvision::nms does not exist" in found.text and "works all the same" in found.text


@pytest.mark.parametrize("code", ["raise RuntimeError('torchvision::nms is odd')", "raise ImportError('no library')"])
def test_a_torchvision_that_cannot_be_imported_is_a_problem(fake_torchvision, code: str):
    fake_torchvision(code)
    found = findings(environment.check_torchvision)["torchvision"]
    assert found.level is Level.PROBLEM and "cannot be imported" in found.text and found.text.endswith(".")


def test_a_torch_that_cannot_be_imported_is_a_problem(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    found = findings(environment.check_torch)["torch"]
    assert found.level is Level.PROBLEM and "cannot be imported" in found.text


@pytest.fixture
def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the smallest weights in the box, and a catalogue of them alone."""
    name = "fusion-l1-stack-x4-lite"
    shutil.copytree(hub.weights_root() / name, tmp_path / name)
    catalogue = (hub.weights_root() / "catalog.toml").read_text(encoding="utf-8")
    entry = f"[{name}]" + catalogue.split(f"[{name}]")[1].split("\n[")[0]
    (tmp_path / "catalog.toml").write_text(entry, encoding="utf-8")
    for module in (hub, weights):
        monkeypatch.setattr(module, "weights_root", lambda: tmp_path)
    return tmp_path / name


def test_sound_weights_are_named(box: Path):
    found = findings(weights.check_weights)
    assert found["weights"].level is Level.OK and box.name in found["weights"].text


@pytest.mark.parametrize("damage", ["flip", "cut", "remove"])
def test_damaged_weights_are_a_problem(box: Path, damage: str):
    file = box / "model.safetensors"
    content = bytearray(file.read_bytes())
    if damage == "flip":
        content[-1] ^= 1
    file.write_bytes(content[:-100] if damage == "cut" else content)
    if damage == "remove":
        file.unlink()
    (found,) = findings(weights.check_weights).values()
    words = {"flip": "checksum", "cut": "bytes instead of", "remove": "is missing"}[damage]
    assert found.level is Level.PROBLEM and str(file) in found.text and words in found.text


def test_a_damaged_catalogue_is_a_problem(box: Path):
    (box.parent / "catalog.toml").write_text("[", encoding="utf-8")
    assert findings(weights.check_weights)["weights"].level is Level.PROBLEM


def test_a_small_run_is_timed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Upscaler, "load", lambda: Upscaler(calm_flow(), device="cpu"))
    found = findings(speed.check_speed)["a small run"]
    assert found.level is Level.OK and "24x24 to 96x96" in found.text and " s on cpu" in found.text


def test_a_run_that_gives_another_picture_is_a_problem(monkeypatch: pytest.MonkeyPatch):
    flow = calm_flow()
    with torch.no_grad():
        flow.flow.levels[0].transitions[0].actnorm.bias.fill_(-0.95)  # near white
    monkeypatch.setattr(Upscaler, "load", lambda: Upscaler(flow, device="cpu"))
    found = findings(speed.check_speed)["a small run"]
    assert found.level is Level.PROBLEM and "nothing to do with its input" in found.text


def test_a_run_that_fails_is_a_problem(monkeypatch: pytest.MonkeyPatch):
    def load() -> Upscaler:
        raise CheckpointError("it is cut short.")

    monkeypatch.setattr(Upscaler, "load", load)
    found = findings(speed.check_speed)["a small run"]
    assert (found.level, found.text) == (Level.PROBLEM, "failed: it is cut short.")


def test_every_device_has_a_precision():
    found = findings(environment.check_devices)
    assert "fp32" in found["cpu"].text or "bf16" in found["cpu"].text
    assert found["default device"].level is Level.OK


def test_a_cache_that_cannot_be_written_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "file").write_text("", encoding="utf-8")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert findings(environment.check_caches)["cache"].level is Level.PROBLEM
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "new"))
    assert "made when it is needed" in findings(environment.check_caches)["cache"].text


def test_extras_are_those_of_the_package():
    declared = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    assert set(extras.EXTRAS) == set(declared) - {"bench", "dev"}
    for extra, (package, _) in extras.EXTRAS.items():
        assert any(requirement.replace("-", "_").startswith(package) for requirement in declared[extra])


def test_a_missing_extra_is_a_note(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(extras, "find_spec", lambda package: None)
    assert {finding.level for finding in extras.check_extras()} == {Level.NOTE}


def test_a_check_that_breaks_stops_no_other():
    def breaks() -> list[Finding]:
        raise OSError("no such thing")

    found = list(examine({"a": breaks, "b": environment.check_python}))
    assert [finding.what for finding in found] == ["a", "srspace"]
    assert found[0].level is Level.PROBLEM and "no such thing" in found[0].text


@pytest.mark.parametrize(("level", "code"), [(Level.OK, 0), (Level.NOTE, 0), (Level.WARNING, 0), (Level.PROBLEM, 1)])
def test_the_exit_code_tells_whether_all_is_well(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], level: Level, code: int
):
    monkeypatch.setattr(doctor, "CHECKS", {"it": lambda: [Finding("it", level, "says so.")]})
    assert main(["doctor"]) == code
    assert "says so." in capsys.readouterr().out
    assert main(["doctor", "--json"]) == code
    assert json.loads(capsys.readouterr().out) == {"what": "it", "level": level.value, "text": "says so."}
