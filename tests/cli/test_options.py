from __future__ import annotations

import re
from dataclasses import dataclass, fields
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from srspace import modes
from srspace.batch import BatchSettings
from srspace.cli import upscale
from srspace.cli.options import flag, option, takes
from srspace.modes import Mode, Parameter
from srspace.sizes import TargetSize


def test_every_setting_has_an_option():
    names = {f.name for f in fields(upscale.Options)}
    asked = {f.name for f in fields(BatchSettings)} - {"sampling", "size", "records"} | {"jsonl"}
    assert asked | {f.name for f in fields(TargetSize)} <= names


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
    assert "--how-strong 0..1 How strong [it] is (mode toy). [default: 0.5]" in page
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
