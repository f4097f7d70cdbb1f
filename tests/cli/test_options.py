from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass, fields
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from srspace import modes
from srspace.batch import BatchSettings
from srspace.cli import upscale
from srspace.cli.main import main
from srspace.cli.options import flag, option, plain, takes
from srspace.modes import Mode, Parameter


@pytest.fixture
def help_page(monkeypatch: pytest.MonkeyPatch, capsys) -> str:
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["upscale", "--help"]) == 0
    return capsys.readouterr().out


def test_the_help_page_fits_80_columns_and_swallows_nothing(help_page: str):
    assert max(map(len, help_page.splitlines())) <= 80
    text = " ".join(re.sub(r"[│╭╮╰╯─]", " ", help_page).split())
    assert "hf://owner/repo[@revision]." in text and "\\" not in text
    for default in ("(beside the input)", "(half of what is free)", modes.DEFAULT, "0.9", "(by mode, usually 10)"):
        assert f"[default: {default}]" in text


def test_options_are_grouped(help_page: str):
    panels = re.findall(r"╭─ (.*?) ─+╮\n(.*?)╰", help_page, re.DOTALL)
    found = {title: set(re.findall(r"--[a-z-]+", body)) for title, body in panels}
    assert found["Input and output"] >= {"--output", "--format", "--save-samples", "--json", "--quiet"}
    assert found["Sampling"] >= {"--mode", "--samples", "--tau", "--seed"}
    assert found["Device"] == {"--device", "--precision", "--tile", "--max-memory"}
    assert found["Advanced"] == {"--weights", "--fusion"}


def test_every_mode_is_shown_with_what_it_does(help_page: str):
    text = " ".join(help_page.split())
    assert all(f"{mode.name}: {mode.help}." in text for mode in modes.every().values())


def test_every_setting_has_an_option():
    names = {f.name for f in fields(upscale.Options)} | {"sampling"}
    assert {f.name for f in fields(BatchSettings)} <= names


def test_modes_are_completed():
    environment = os.environ | {
        "_SRSPACE_COMPLETE": "complete_bash",
        "COMP_WORDS": "srspace upscale --mode fus",
        "COMP_CWORD": "3",
    }
    code = "import sys; sys.argv = ['srspace']; from srspace.__main__ import run; run()"
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.split() == ["fusion-l1", "fusion-lpips"]


def test_a_parameter_of_a_mode_becomes_an_option(monkeypatch: pytest.MonkeyPatch):
    strength, clash = Parameter("how_strong", 0.5, 0, 1, "How strong [it] is"), Parameter("tau", 0, 0, 1, "Other")
    monkeypatch.setitem(
        modes._registered, "toy", Mode("toy", "of a test", "nowhere:make", parameters=(strength, clash))
    )
    seen: list[BatchSettings] = []

    @takes(upscale.Options)
    def command(options: upscale.Options) -> int:
        """Try."""
        seen.append(options.settings())
        return 0

    app = typer.Typer()
    app.command()(command)
    runner = CliRunner(env={"COLUMNS": "80"})
    page = " ".join(re.sub(r"[│╭╮╰╯─]", " ", runner.invoke(app, ["--help"]).output).split())
    assert "How strong [it] is (toy; from 0 to 1)." in page and "[default: (0.5)]" in page
    for given, expected in (([], {}), (["--how-strong", "0.25"], {"how_strong": 0.25})):
        assert runner.invoke(app, ["a.png", "-m", "toy", "--tau", "0.8", *given]).exit_code == 0
        assert seen[-1].parameters == expected and seen[-1].sampling.temperature == 0.8


def test_options_come_as_one_object():
    @dataclass(frozen=True)
    class Options:
        name: Annotated[str, option("--name", help="A [name].")]
        loud: Annotated[bool, flag("--loud", help="Loud.")] = False

    seen = []

    @takes(Options)
    def command(options: Options) -> int:
        """Say
        it.
        """
        seen.append(options)
        return 0

    assert command.__doc__ == "Say it."
    app = typer.Typer()
    app.command()(command)
    assert CliRunner().invoke(app, ["--name", "x", "--loud"]).exit_code == 0
    assert CliRunner().invoke(app, []).exit_code == 2
    assert seen == [Options("x", True)]


def test_only_what_would_be_markup_is_escaped():
    from rich.text import Text

    for text in ("hf://a/b[@c]", "a list [1] of [x]", "[/bold]", "[#ff0000]"):
        assert Text.from_markup(plain(text)).plain == text
