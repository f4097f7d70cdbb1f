"""The help page of every command, as a terminal of 80 columns shows it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from rich.text import Text

from srspace import modes
from srspace.cli.main import main
from tests.cli.tree import COMMANDS, GROUPS, every_option, parameters

Page = Callable[..., str]


@pytest.fixture(scope="module")
def shown() -> dict[str, str]:
    """Pages by commands, each made once."""
    return {}


@pytest.fixture
def page(shown: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Page:
    monkeypatch.setenv("COLUMNS", "80")

    def page(path: str) -> str:
        if path not in shown:
            assert main([*path.split(), "--help"]) == 0
            shown[path] = capsys.readouterr().out
        return shown[path]

    return page


def flat(text: str) -> str:
    """A page without its frames and line breaks."""
    return " ".join(re.sub(r"[│╭╮╰╯─]", " ", text).split())


def squeezed(text: str) -> str:
    """A text without spaces, so that it is found however its lines are broken."""
    return re.sub(r"\s", "", text)


@pytest.mark.parametrize("path", [*GROUPS, *COMMANDS])
def test_nothing_is_swallowed_or_cut(page: Page, path: str):
    shown = page(path)
    assert max(map(len, shown.splitlines())) <= 80
    assert "\\" not in shown and "\N{HORIZONTAL ELLIPSIS}" not in shown
    text = squeezed(re.sub(r"[│╭╮╰╯─]", " ", shown))
    for parameter in parameters(path):
        assert parameter.help, f"{path}: {parameter.name} is not explained"
        written = re.sub(r"\\(?=\[)", "", re.sub(r"(?<!\\)\[/?dim\]", "", parameter.help))
        assert Text.from_markup(parameter.help).plain == written, "text in square brackets is taken for markup"
        # In the table, the first words of the other columns may stand between two lines of a help text.
        assert all(squeezed(word) in text for word in written.split()), (path, written)


@pytest.mark.parametrize("path", [*GROUPS, *COMMANDS])
def test_no_page_shows_python_types(page: Page, path: str):
    assert re.findall(r"<\w[^>]*>|\{\w|Path|None|True|False", page(path)) == []


@pytest.mark.parametrize("path", COMMANDS)
def test_options_are_grouped_and_have_a_value_in_words(path: str):
    for option in every_option(path):
        assert option.rich_help_panel or path == "weights verify" or option.name == "help", option.name
        if not option.is_flag:
            assert option.metavar, f"{path}: {option.name} shows a Python type"


@pytest.mark.parametrize("path", COMMANDS)
def test_defaults_are_shown(page: Page, path: str):
    text = squeezed(flat(page(path)))
    for option in every_option(path):
        default = option.default
        if not option.is_flag and isinstance(default, int | str):
            assert f"[default:{default}]" in text, option.name


def test_upscale_is_grouped(page: Page):
    panels = re.findall(r"╭─ (.*?) ─+╮\n(.*?)╰", page("upscale"), re.DOTALL)
    found = {title: set(re.findall(r"--[a-z-]+(?=  )", body)) for title, body in panels}
    assert found["Input and output"] >= {"--output", "--format", "--save-samples", "--json", "--quiet", "--help"}
    assert found["Sampling"] >= {"--mode", "--samples", "--tau", "--seed", "--latents", "--balance"}
    spread = {"--engine", "--address", "--workers"}
    assert found["Device"] == {"--device", "--precision", "--tile", "--max-memory"} | spread
    assert found["Advanced"] == {"--weights", "--fusion"} and "Options" not in found


def test_upscale_shows_every_mode_with_what_it_does(page: Page):
    text = flat(page("upscale"))
    listed = text[text.index("Modes:") :]
    assert all(f"{mode.name} {mode.help}" in listed for mode in modes.every().values())


def test_upscale_shows_what_happens_without_an_option(page: Page):
    text = flat(page("upscale"))
    mode = f"{modes.DEFAULT}; {modes.PLAIN} where the weights have no network for it"
    for default in ("beside the input", "half of what is free", mode, "0.9", "10 (dial: 1)"):
        assert f"[default: {default}]" in text
    assert "hf://owner/repo[@revision]." in text


def test_all_commands_share_what_they_call_alike():
    """An option of the same name has the same value in words, and is a flag everywhere or nowhere."""
    found: dict[str, set[tuple[bool, Any]]] = {}
    for path in COMMANDS:
        for option in every_option(path):
            found.setdefault(max(option.opts, key=len), set()).add((option.is_flag, option.metavar))
    differing = {name for name, shapes in found.items() if len(shapes) > 1}
    # A loss is one of two, but which two depends on the network; training cuts its pictures into tiles of its own.
    assert differing == {"--loss", "--tile"}, {name: found[name] for name in differing}


def test_every_option_named_on_a_page_exists(page: Page):
    known = {name for path in [*GROUPS, *COMMANDS] for option in every_option(path) for name in option.opts}
    known |= {name for path in COMMANDS for option in every_option(path) for name in option.secondary_opts}
    for path in [*GROUPS, *COMMANDS]:
        assert set(re.findall(r"--[a-z][a-z-]+", page(path))) <= known
