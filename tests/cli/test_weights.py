from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import srspace
from srspace import hub
from srspace.checkpoints import load_model, read_config, save_model
from srspace.cli.main import main
from tests.hub_server import COMMIT, CONTENT, Hub, running_hub, write_catalog
from tests.networks import small_flow
from tests.published import random_state

DRIVER = """
import json, sys
from pathlib import Path
from srspace import hub
from srspace.cli.main import main
root, *commands = sys.argv[1:]
hub.weights_root = lambda: Path(root)
for command in commands:
    print(f"= {main(['weights', *json.loads(command)])}", flush=True)
"""


@pytest.fixture
def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A catalogue with an entry that is bundled and one that only the Hub has."""
    root = write_catalog(tmp_path / "weights", remote=CONTENT, bundled=CONTENT)
    monkeypatch.setattr(hub, "weights_root", lambda: root)
    return root


@pytest.fixture
def server() -> Iterator[Hub]:
    with running_hub() as running:
        yield running


def through(server: Hub, root: Path, *commands: list[str]) -> tuple[list[str], str]:
    """Run commands in one process that knows the Hub; lines on stdout, ``= CODE`` after each command's, and stderr."""
    done = subprocess.run(
        [sys.executable, "-c", DRIVER, str(root), *map(json.dumps, commands)],
        env=os.environ | server.environment(root.parent / "hf"),
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    return done.stdout.splitlines(), done.stderr


def test_the_catalogue_is_listed(box: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["weights", "list"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines() if "4x" in line]
    assert [(row[0], row[-1]) for row in rows] == [("remote", "owner/remote"), ("bundled", "bundled")]
    assert main(["weights", "list", "--json"]) == 0
    remote, bundled = map(json.loads, capsys.readouterr().out.splitlines())
    assert (remote["repo"], remote["revision"], remote["bundled"]) == ("owner/remote", COMMIT, False)
    assert bundled["bundled"] is True and bundled["files"][1]["size"] == len(CONTENT["model.safetensors"])


def test_everything_in_the_box_is_listed(capsys: pytest.CaptureFixture[str]):
    assert main(["weights", "list"]) == 0
    text = capsys.readouterr().out
    assert all(name in text for name in hub.load_catalog())


def test_one_entry_is_shown(box: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["weights", "info", "remote"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert {"name: remote", "licence: l", "files: config.json, model.safetensors", "bundled: False"} <= set(lines)
    assert main(["weights", "info", "remote", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["architecture"] == "a"
    assert main(["weights", "info", "nothing"]) == 3
    assert "no weights are called 'nothing'" in capsys.readouterr().err


def test_bundled_weights_are_checked(box: Path, capsys: pytest.CaptureFixture[str]):
    model = box / "bundled" / "model.safetensors"
    assert main(["weights", "pull", "bundled"]) == 0
    assert capsys.readouterr().out.strip() == str(box / "bundled")
    assert main(["weights", "verify"]) == 0
    assert capsys.readouterr().out.splitlines() == [f"{box / 'bundled' / name}: ok" for name in CONTENT]
    model.write_bytes(model.read_bytes()[::-1])
    assert main(["weights", "pull", "bundled"]) == 3
    assert "does not have the checksum of the catalogue" in capsys.readouterr().err
    assert main(["weights", "verify", "bundled"]) == 3
    config, damaged = capsys.readouterr().out.splitlines()
    assert config.endswith("config.json: ok") and damaged == f"{model}: does not have the checksum of the catalogue"
    model.write_bytes(b"short")
    assert main(["weights", "verify", "bundled"]) == 3
    assert "has 5 bytes instead of 7000" in capsys.readouterr().out


def test_what_only_the_hub_has_is_fetched_and_checked(server: Hub, box: Path):
    lines, _ = through(server, box, ["pull", "remote"], ["verify", "remote"], ["verify"])
    folder = Path(lines[0])
    assert {name: (folder / name).read_bytes() for name in CONTENT} == CONTENT
    assert lines[1] == "= 0" and lines[2:5] == [*(f"{folder / name}: ok" for name in CONTENT), "= 0"]
    assert lines[5:] == [*(f"{box / 'bundled' / name}: ok" for name in CONTENT), "= 0"], (
        "the rest is not fetched unasked"
    )


def test_a_model_is_published(server: Hub, box: Path, tmp_path: Path):
    save_model(tmp_path / "mine", small_flow())
    (tmp_path / "mine" / "README.md").write_text("# Mine\n")
    (tmp_path / "mine" / "training.pt").write_bytes(b"not for publishing")
    push = ["push", str(tmp_path / "mine"), "owner/name"]
    lines, _ = through(server, box, [*push, "--private"], push, ["push", str(tmp_path), "owner/name"])
    assert lines == [COMMIT, "= 0", COMMIT, "= 0", "= 3"]
    # By one word or the other, as the client's version has it.
    wanted = [body.get("private") or body.get("visibility") == "private" for body in server.created]
    assert wanted == [True, False]
    assert server.created[0]["name"] == "name" and server.created[0]["organization"] == "owner"
    names = ("README.md", "config.json", "model.safetensors")
    assert server.committed == {name: (tmp_path / "mine" / name).read_bytes() for name in names}


def test_a_hub_that_refuses_is_one_sentence(server: Hub, box: Path, tmp_path: Path):
    server.mode = "gated"
    save_model(tmp_path / "mine", small_flow())
    lines, errors = through(server, box, ["push", str(tmp_path / "mine"), "owner/name"], ["pull", "remote"])
    assert lines == ["= 3", "= 3"]
    assert [line.split(" is gated: ")[0] for line in errors.splitlines()] == [
        "srspace: owner/name",
        "srspace: owner/remote",
    ]


@pytest.mark.parametrize(
    ("name", "text"), [("blocks.json", '{"stack_blocks": [0, 3]}'), ("blocks.toml", "stack_blocks = [0, 3]")]
)
def test_a_published_file_is_converted(tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, text: str):
    state = random_state(nf=8, gc=4, nb=4, scale=4, steps=1, hidden=6, stacked=2)
    torch.save(state, tmp_path / "in.pth")
    (tmp_path / name).write_text(text)
    command = ["weights", "convert", str(tmp_path / "in.pth"), str(tmp_path / "out")]
    assert main([*command, "--config", str(tmp_path / name), "--license", "mine"]) == 0
    printed = capsys.readouterr()
    assert printed.out.strip() == str(tmp_path / "out") and "CC BY-NC-SA" in printed.err
    assert srspace.load_flow(tmp_path / "out").flow.config.stack_blocks == (0, 3)
    assert read_config(tmp_path / "out")["licence"] == "mine"
    assert main(command) == 1
    assert "already holds a model" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("sizes.json", None, "cannot be read"),
        ("sizes.json", "{", "is not valid JSON"),
        ("sizes.toml", "{", "is not valid TOML"),
        ("sizes.json", "[1]", "does not hold settings"),
    ],
)
def test_a_file_of_sizes_that_cannot_be_used_is_bad_usage(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, text: str | None, message: str
):
    path = tmp_path / name
    if text is not None:
        path.write_text(text)
    assert main(["weights", "convert", "in.pth", str(tmp_path / "out"), "--config", str(path)]) == 2
    assert message in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_a_file_that_is_no_checkpoint_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "in.pth").write_bytes(b"no checkpoint")
    assert main(["weights", "convert", str(tmp_path / "in.pth"), str(tmp_path / "out")]) == 3
    assert "not a checkpoint that can be read safely" in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_weights_are_averaged(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    models = [small_flow(seed=seed) for seed in (0, 1)]
    for name, model in zip("ab", models, strict=True):
        save_model(tmp_path / name, model)
    command = ["weights", "average", str(tmp_path / "a"), str(tmp_path / "b")]
    assert main([*command, "--out", str(tmp_path / "equal")]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "equal")
    assert main([*command, "--share", "3", "--share", "1", "-o", str(tmp_path / "shares")]) == 0
    for folder, share in (("equal", 0.5), ("shares", 0.75)):
        found, (one, other) = load_model(tmp_path / folder).state_dict(), (m.state_dict() for m in models)
        assert all(torch.allclose(v, share * one[k] + (1 - share) * other[k], atol=1e-6) for k, v in found.items())
    assert main([*command, "--share", "1", "-o", str(tmp_path / "c")]) == 2
    assert main(["weights", "average", str(tmp_path / "a"), "-o", str(tmp_path / "c")]) == 2
    assert not (tmp_path / "c").exists()


def test_weights_are_packed(tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["weights", "pack", str(tiny / "x4"), "--out", str(tmp_path / "packed")]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "packed")
    assert any(key.endswith(".step") for key in load_file(tmp_path / "packed" / "model.safetensors"))
    packed, plain = (load_model(folder).state_dict() for folder in (tmp_path / "packed", tiny / "x4"))
    assert all((packed[k] - v).abs().max() <= 0.002 * v.abs().max() + 1e-6 for k, v in plain.items())
    assert main(["weights", "pack", "nothing", "--out", str(tmp_path / "other")]) == 3
