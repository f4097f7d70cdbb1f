from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from srspace.errors import WeightsError
from srspace.hub import load_catalog, resolve_weights, verify_folder, weights_root
from tests.hub_server import CONTENT, Hub, environment_for, running_hub, write_catalog
from tests.processes import run

DRIVER = """
import sys, time
from pathlib import Path
time.sleep = lambda seconds: None  # the client waits longer and longer between its tries
import srspace.hub as hub
from srspace.cli.failures import exit_code
from srspace.errors import SRSpaceError
hub.weights_root = lambda: Path(sys.argv[1])
try:
    print(hub.resolve_weights(sys.argv[2]))
except SRSpaceError as error:
    print(f"error: {error}")
    sys.exit(exit_code(error))
"""


@pytest.fixture
def hub() -> Iterator[Hub]:
    with running_hub() as server:
        yield server


@pytest.fixture
def catalog(tmp_path: Path) -> Path:
    return write_catalog(tmp_path / "weights", remote=CONTENT)


def fetch(catalog: Path, spec: str, port: int, **environment: str) -> subprocess.CompletedProcess[str]:
    env = os.environ | environment_for(port, catalog.parent / "hf") | environment
    command = [sys.executable, "-c", DRIVER, str(catalog), spec]
    return subprocess.run(command, capture_output=True, text=True, env=env, timeout=120, check=False)


def test_pull_caches_and_then_works_offline(hub: Hub, catalog: Path):
    done = fetch(catalog, "remote", hub.server_port)
    assert done.returncode == 0, done.stdout + done.stderr
    folder = Path(done.stdout.strip())
    assert {name: (folder / name).read_bytes() for name in CONTENT} == CONTENT
    before = hub.requests
    again = fetch(catalog, "remote", hub.server_port, HF_HUB_OFFLINE="1")
    assert again.stdout == done.stdout and hub.requests == before


def test_upscaling_with_weights_of_any_repository(hub: Hub, tiny: Path, tmp_path: Path):
    hub.content = {p.name: p.read_bytes() for p in (tiny / "x8").iterdir()}
    Image.new("RGB", (6, 5), (90, 120, 150)).save(tmp_path / "a.png")
    env = os.environ | hub.environment(tmp_path / "hf")

    def upscale(*more: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
        return run("upscale", tmp_path / "a.png", "-w", "hf://owner/tiny@main", *more, env=env | environment)

    done = upscale("-m", "rrdb")
    assert done.returncode == 0, done.stderr
    with Image.open(tmp_path / "a_x8.png") as image:
        assert image.size == (48, 40)
    assert upscale("-m", "rrdb", "--overwrite", HF_HUB_OFFLINE="1").returncode == 0
    offline = upscale("-m", "rrdb", "--overwrite", HF_HUB_OFFLINE="1", HF_HOME=str(tmp_path / "other"))
    assert offline.returncode == 3 and len(offline.stderr.splitlines()) == 1
    missing = upscale("-m", "fusion-l1")
    assert missing.returncode == 3 and b"--fusion" in missing.stderr and len(missing.stderr.splitlines()) == 1


def test_any_repository_can_be_named(hub: Hub, catalog: Path):
    assert fetch(catalog, "hf://owner/other@main", hub.server_port).returncode == 0


@pytest.mark.parametrize(
    ("mode", "spec", "words"),
    [
        ("wrong", "remote", "checksum"),
        ("cut", "remote", "could not be transferred"),
        ("gated", "remote", "gated"),
        ("good", "hf://owner/missing", "does not exist"),
        ("good", "hf://nonsense", "not of the form"),
        ("good", "nothing", "neither a folder"),
    ],
)
def test_failures_are_one_sentence_and_leave_nothing_usable(hub: Hub, catalog: Path, mode: str, spec: str, words: str):
    hub.mode = mode
    done = fetch(catalog, spec, hub.server_port)
    assert done.returncode == 3, done.stdout + done.stderr
    assert done.stdout.startswith("error: ") and words in done.stdout and len(done.stdout.splitlines()) == 1
    hub.mode = "good"
    if spec == "remote":
        assert fetch(catalog, spec, hub.server_port).returncode == 0


@pytest.mark.parametrize("environment", [{}, {"HF_HUB_OFFLINE": "1"}])
def test_a_dead_network_and_offline_mode_are_one_sentence(catalog: Path, environment: dict[str, str]):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    done = fetch(catalog, "remote", port, **environment)
    assert done.returncode == 3 and len(done.stdout.splitlines()) == 1, done.stdout + done.stderr
    assert done.stderr == ""


def test_bundled_weights_are_what_the_catalogue_says():
    catalog = load_catalog()
    for name, entry in catalog.items():
        assert [c.problem for c in verify_folder(weights_root() / name, entry)] == [None, None]
        assert entry.repo is None, "no Hub repository of ours exists"
    sizes = {name: sum(f.size for f in entry.files) for name, entry in catalog.items()}
    assert sum(sizes.values()) < 64e6
    for flow in (name for name, entry in catalog.items() if entry.kind == "flow"):
        assert sum(size for name, size in sizes.items() if flow in (name, catalog[name].base)) < 32e6


def test_a_missing_name_is_an_error():
    with pytest.raises(WeightsError, match="neither a folder nor"):
        resolve_weights("no-such-weights")
