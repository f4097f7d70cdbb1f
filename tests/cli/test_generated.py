from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import pytest
import typer
from typer.testing import CliRunner

from srspace.cli.commands import App
from srspace.cli.generated import OptionGroup, with_options
from srspace.fields import fields_of


@dataclass(frozen=True)
class Toy:
    """A toy.

    Attributes:
        size: how large it is, in metres [m]; "hf://owner/repo[@revision]" is kept.
        colour: its colour.
        season: its season.
        sort: rare, common or unheard-of.
        taus: some temperatures.
        pair: two numbers.
        fixed: whether it stays.
        shown: whether it is shown.
        none: how many there are.
        note: a remark.
    """

    size: float = 0.1 + 0.2
    colour: Literal["red", "green"] = "red"
    season: Literal["spring", "summer"] | None = None
    sort: Literal["rare", "common", "unheard-of"] = "rare"
    taus: tuple[float, ...] = (0.9,)
    pair: tuple[float, float] = (0.0, 1.0)
    fixed: bool = False
    shown: bool = True
    none: int = 0
    note: str | None = None


@pytest.fixture
def run() -> Any:
    seen: list[tuple[dict[str, Any], str]] = []
    app = App()

    @app.command()
    @with_options([OptionGroup(fields_of(Toy), "Toys", {"taus": ("--tau", "-t")})])
    def play(
        name: str,
        given: dict[str, Any],
        device: Annotated[str, typer.Option(help="Where.", rich_help_panel="Toys")] = "cpu",
        out: Annotated[str, typer.Option(help="What.", rich_help_panel="Files")] = "-",
    ) -> None:
        """Play with [a] toy."""
        seen.append((given, f"{name} {device} {out}"))

    def run(*arguments: str) -> Any:
        result = CliRunner().invoke(app, list(arguments), env={"COLUMNS": "80", "TERM": "dumb"})
        return (seen[-1] if result.exit_code == 0 and seen else None), result

    return run


def test_only_what_is_typed_is_given(run: Any):
    assert run("bear")[0] == ({}, "bear cpu -")
    typed = ["--size", "3", "--colour", "green", "-t", "1", "--tau", "0.8", "--pair", "1", "2", "--fixed", "--no-shown"]
    given, rest = run("bear", *typed, "--note", "x", "--device", "mps", "--out", "a")[0]
    numbers = {"size": 3.0, "taus": (1.0, 0.8), "pair": (1.0, 2.0)}
    assert given == numbers | {"colour": "green", "fixed": True, "shown": False, "note": "x"}
    assert type(given["colour"]) is str and rest == "bear mps a"
    assert run("bear", "--colour", "red")[0][0] == {"colour": "red"}  # typed, though it is the default


@pytest.mark.parametrize("mistake", [["--colour", "blue"], ["--size", "large"], ["--no-fixed"], ["--pair", "1"]])
def test_mistakes_are_bad_usage(run: Any, mistake: list[str]):
    assert run("bear", *mistake)[1].exit_code == 2


def test_help_shows_documentation_defaults_and_choices(run: Any):
    text = run("--help")[1].output
    flat = re.sub(r"[\s│]+", " ", text)
    assert "How large it is, in metres [m];" in flat and "repo[@revision]" in re.sub(r"[\s│]+", "", text)
    assert "--colour red|green Its colour. [default: red]" in flat and "[default: 0.9]" in flat
    assert "--season NAME Its season (spring, summer)." in flat, "long choices stand in the sentence"
    assert "--sort NAME Rare, common or unheard-of. [default: rare]" in flat, "unless it names them itself"
    assert "--size NUMBER" in flat and "--pair NUMBER NUMBER" in flat and "--fixed Whether" in flat
    assert "[default: 0.3]" in flat and not re.search("<(int|float|list|tuple)", flat)
    assert "Play with [a] toy." in flat
    assert "--none N How many there are. [default: 0]" in flat
    assert flat.index("Files") < flat.index("Toys") < flat.index("--device")
    assert max(len(line) for line in text.splitlines()) <= 80
