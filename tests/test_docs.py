"""The documentation and the program agree: what is named exists, what exists is named, what is shown runs."""

from __future__ import annotations

import ast
import dataclasses
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

import srspace
from srspace import modes
from srspace.batch import Done, Failed, Kept, LeftOut, Skipped
from srspace.batch.outcome import Made
from srspace.benchmark import Record, parse_rows
from srspace.benchmark.speed import SpeedReport
from srspace.cli import failures
from srspace.cli.main import main
from srspace.data.catalog import load_catalog as load_datasets
from srspace.hub import load_catalog
from srspace.sampling import Redraw
from tests import documents
from tests.cli.tree import COMMANDS, GROUPS, NODES, ROOT, every_option
from tests.documents import BATCH, BENCHMARK, DOCUMENTS, README, blocks, commands, first_column, section, spans, text_of
from tests.pictures import picture
from tests.processes import run_script
from tests.report.made import results

FOREIGN = {"--benchmark-enable", "--head", "--max-restarts", "--nnodes", "--nproc-per-node", "--rdzv-endpoint"}
"""Options of pytest, torchrun and ray."""

SHOWN = [(path, words) for path in DOCUMENTS for words in commands(text_of(path))]
every_document = pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(documents.ROOT)))


def find_command(words: list[str]) -> tuple[str, list[str]]:
    """The command that words lead to, and the words left for it."""
    node, path = ROOT, []
    while hasattr(node, "commands"):
        if not words or words[0] not in node.commands:
            words = [getattr(node, "default", "no such command"), *words]
        assert words[0] in node.commands, f"there is no command {' '.join([*path, *words[:2]])}"
        node, path, words = node.commands[words[0]], [*path, words[0]], words[1:]
    return " ".join(path), words


@pytest.mark.parametrize(("path", "words"), SHOWN, ids=[" ".join(words) for _, words in SHOWN])
def test_every_command_shown_is_understood(path: Path, words: list[str]):
    command, rest = find_command(words)
    given = NODES[command].make_context("srspace", list(rest)).params
    if given.get("mode") is not None:
        modes.find(given["mode"])
    if given.get("rows") is not None:
        parse_rows(given["rows"], temperature=0.9, scored=10)
    if "dataset" in given and not given["dataset"].endswith("/"):
        assert given["dataset"] in load_datasets()
    for name in ("start", "fusion", "encoder", "teacher"):
        named = given.get(name)
        assert named is None or "/" in named or named in load_catalog(), named


@every_document
def test_every_command_named_in_a_sentence_exists(path: Path):
    for span in spans(text_of(path)):
        words = span.split()
        if words[0] != "srspace" or len(words) == 1 or words[1].isupper():
            continue
        names = [word for word in words[1:] if re.fullmatch(r"[a-z]+", word)]
        node, found = ROOT, []
        while names and hasattr(node, "commands"):
            assert names[0] in node.commands, span
            node, found, names = node.commands[names[0]], [*found, names[0]], names[1:]
        known = {name for option in every_option(" ".join(found)) for name in option.opts}
        assert {word for word in words if word.startswith("-")} <= known, span


@every_document
def test_every_option_named_exists(path: Path):
    known = set(FOREIGN)
    for command in (*GROUPS, *COMMANDS):
        for option in every_option(command):
            known |= {*option.opts, *option.secondary_opts}
    text = text_of(path)
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", text)) <= known | {"--"}
    assert {span.split()[0] for span in spans(text) if re.match(r"-\w\b", span)} <= known


@every_document
def test_every_mode_named_with_an_option_exists(path: Path):
    for span in spans(text_of(path)):
        for name in re.findall(r"(?:--mode|(?<!python )-m) ([a-z0-9-]+)", span):
            modes.find(name)


@every_document
def test_all_weights_named_are_in_the_catalogue(path: Path):
    text = re.sub(r"hf://\S+", "", text_of(path))
    assert set(re.findall(r"\b[a-z][a-z0-9]*(?:-[a-z0-9]+)*-x[248](?:-[a-z]+)*\b", text)) <= set(load_catalog())


@every_document
def test_every_link_leads_somewhere(path: Path):
    for target in re.findall(r"\]\(([^)]+)\)", text_of(path)):
        if target.startswith("https://"):
            continue
        place, _, anchor = target.partition("#")
        found = (path.parent / place).resolve() if place else path
        assert found.exists(), target
        assert not anchor or anchor in documents.anchors(text_of(found)), target


@every_document
def test_environment_variables_and_extras_exist(path: Path):
    text = text_of(path)
    code = "".join(source.read_text(encoding="utf-8") for source in (documents.ROOT / "srspace").rglob("*.py"))
    assert all(name in code for name in re.findall(r"SRSPACE_[A-Z]+", text))
    extras = tomllib.loads((documents.ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    named = {name for group in re.findall(r"(?:srspace|\.)\[([a-z,-]+)\]'", text) for name in group.split(",")}
    assert named <= set(extras)


def test_the_readme_is_short_and_names_every_command_and_mode():
    text = text_of(README)
    assert len(text.splitlines()) <= 150
    assert all(f"srspace {name}" in text for name in ROOT.commands)
    named = first_column(section(text, "## Modes"))[1:]
    assert [name.split("`")[1] for name in named] == list(srspace.MODES)
    assert [name for name in named if name.endswith("(default)")] == [f"`{modes.DEFAULT}` (default)"]


def test_every_command_is_documented_somewhere():
    text = "".join(map(text_of, DOCUMENTS))
    assert [path for path in COMMANDS if f"srspace {path.removesuffix(' run')}" not in text] == []


def test_the_readme_shows_every_part_of_the_package():
    tree = text_of(README).split("\nsrspace/\n")[1].split("\nweights/")[0]
    shown = {word for line in tree.splitlines() for word in re.split(r"\s{2,}", line.strip())[0].split()}
    shown = {word.rstrip("/") for word in shown if word.endswith(("/", ".py"))}
    there = {path.name for path in Path(srspace.__file__).parent.iterdir() if not path.name.startswith("_")}
    assert shown == {name for name in there if "." not in name or name.endswith(".py")}


def test_every_package_says_what_belongs_into_it():
    for path in (documents.ROOT / "srspace").rglob("__init__.py"):
        assert len(ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "") > 40, path


def test_the_readme_installs_what_ci_tests():
    install = "-c .ci/constraints.txt -e '.[dev]'"
    script = (documents.ROOT / ".ci" / "run").read_text()
    assert f"{install} && .venv/bin/pytest\n" in text_of(README)
    assert (install in script and "pytest" in script) or "README.md" in script


def test_json_keys_of_outcomes():
    redraw = Redraw(0, 0.5, 1, "why")
    outcome = Done("a", "b", Made(), 4, 4, 0.1, (redraw,)).record()
    table = section(text_of(BATCH), "## JSON")
    keys = [key for cell in first_column(table)[1:] for key in re.findall(r"`(\w+)`", cell)]
    assert sorted(keys) == sorted(outcome)
    rows = {line.split("|")[1].strip(): line.split("|")[2] for line in table.splitlines() if line.startswith("| `")}
    assert set(re.findall(r"`(\w+)`", rows["`redraws`"])) == set(outcome["redraws"][0])
    assert set(re.findall(r"`(\w+)`", rows["`status`"])) == {
        kind.status for kind in (Done, Kept, Skipped, LeftOut, Failed)
    }


def test_json_keys_of_benchmarks():
    records, whole = section(text_of(BENCHMARK), "## Records and results").split("| key of the results")
    made = results({"rrdb": {"a": {"psnr": 30.0}}}).to_json()
    assert documented(records) == {field.name for field in dataclasses.fields(Record)}
    assert documented(whole) == set(made)
    rows = next(line for line in whole.splitlines() if line.startswith("| `rows`"))
    assert set(re.findall(r"`(\w+)`", rows.split("|")[2])) == set(made["rows"][0])


def test_json_keys_of_speed():
    table = section(text_of(BENCHMARK), "## Speed")
    table = table[table.index("| line | key in JSON") : table.index("| machine,")]
    named = {key for line in table.splitlines() if line for key in re.findall(r"`(\w+)`", line.split("|")[2])}
    derived = {"operations_per_run", "ratio_to_single", "candidates_per_second", "megapixels_per_second"}
    assert named == {field.name for field in dataclasses.fields(SpeedReport)} | derived | {"share_of_peak"}


def documented(table: str) -> set[str]:
    return {key for cell in first_column(table) for key in re.findall(r"`(\w+)`", cell)}


def test_exit_codes(capsys: pytest.CaptureFixture[str]):
    known = {value for name, value in vars(failures).items() if name.startswith("EXIT_")}
    assert {int(cell) for cell in first_column(section(text_of(BATCH), "## Exit codes"))[1:]} == known
    assert main(["--help"]) == 0
    page = " ".join(capsys.readouterr().out.split())
    assert {int(code) for code in re.findall(r"\b(\d+) [a-z]", page[page.index("Exit codes:") :])} == known
    for path in DOCUMENTS:
        named = re.findall(r"(?:exit code is|exits with|exits) (\d+)", text_of(path))
        assert {int(code) for code in named} <= known


def test_the_python_of_the_readme_runs(tmp_path: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch):
    picture(tmp_path / "img.png", (12, 8))
    (tmp_path / "converted").symlink_to(tiny / "x4")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"lr": torch.rand(1, 3, 8, 8), "hr": torch.rand(1, 3, 32, 32)}
    for code in blocks(text_of(README), "python"):
        exec(compile(code, "README.md", "exec"), names)
    with Image.open("img_x4.png") as image:
        assert image.size == (48, 32)
    assert names["sr"].shape == names["regression"].shape == (1, 3, 32, 32) and names["nll"].shape == (1,)


def test_the_python_of_the_batch_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    picture(tmp_path / "photos" / "more" / "a.png")
    (tmp_path / "photos" / "b.png").write_text("no picture")
    monkeypatch.chdir(tmp_path)
    (code,) = blocks(text_of(BATCH), "python")
    exec(compile(code, "README.md", "exec"), {})
    assert capsys.readouterr().out.splitlines() == [
        "photos/b.png photos/b.png is not a picture in a known format.", "large/more/a_x4.png 32x24",
    ]  # fmt: skip


def test_the_three_commands_of_the_readme_run(tmp_path: Path):
    picture(tmp_path / "img.png")
    picture(tmp_path / "photos" / "more" / "a.png")
    (script,) = blocks(section(text_of(README), "## Three commands"), "sh")
    done = run_script(script, tmp_path)
    assert done.returncode == 0, done.stderr
    for name in ("img_x4.png", "large/more/a_x4.png", "large.png"):
        with Image.open(tmp_path / name) as image:
            assert image.size == (32, 24), name
    assert '"status": "done"' in done.stdout
