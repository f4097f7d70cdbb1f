"""The man page, made of the help texts.

``python -m srspace.cli.manual srspace/cli/srspace.1`` writes it anew.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.text import Text
from typer.main import get_command

from srspace.cli.main import app
from srspace.files import write_bytes

_ENVIRONMENT = {
    "SRSPACE_DATA": "Where data sets are kept.",
    "SRSPACE_DEBUG": "1 shows tracebacks, as --debug does.",
    "XDG_CACHE_HOME": "Where the cache is kept (~/.cache).",
    "HF_HOME": "Where weights of the Hugging Face Hub are kept.",
    "TORCH_HOME": "Where the networks of metrics are kept.",
}


def manual() -> str:
    """The page in the man macros of troff; the same help texts give the same page."""
    root: Any = get_command(app)
    lines = [
        '.TH SRSPACE 1 "" "srspace" "User Commands"',
        ".SH NAME",
        f"srspace \\- {_escaped(_plain(root.help).rstrip('.'))}",
        ".SH SYNOPSIS",
        r".B srspace",
        r".I COMMAND",
        "[\\fIOPTION\\fR]... [\\fIARGUMENT\\fR]...",
        ".SH DESCRIPTION",
        _escaped(_plain(root.help)),
        ".PP",
        "Options that stand before the command:",
        *_options(root),
        ".SH COMMANDS",
    ]
    for name, command in root.commands.items():
        lines += _command(name, command)
    lines.append(".SH EXIT STATUS")
    codes = _plain(root.epilog).removeprefix("Exit codes: ").rstrip(".")
    for code in codes.split("; "):
        number, meaning = code.split(" ", 1)
        lines += [".TP", f".B {number}", _escaped(f"{meaning}.")]
    lines.append(".SH ENVIRONMENT")
    for variable, meaning in _ENVIRONMENT.items():
        lines += [".TP", f".B {variable}", _escaped(meaning)]
    return "\n".join(lines) + "\n"


def _command(path: str, command: Any) -> Iterator[str]:
    if hasattr(command, "commands"):
        for name, child in command.commands.items():
            yield from _command(f"{path} {name}", child)
        return
    arguments = " ".join(_argument(p) for p in command.params if p.param_type_name == "argument")
    yield f".SS {_escaped(f'srspace {path} [OPTION]... {arguments}'.rstrip())}"
    for paragraph in _plain(inspect.cleandoc(command.help or "")).split("\n\n"):
        yield from (_escaped(" ".join(paragraph.split())), ".PP")
    for parameter in command.params:
        if parameter.param_type_name == "argument":
            yield from (".TP", f".I {_escaped(str(parameter.metavar))}", _escaped(_plain(parameter.help or "")))
    yield from _options(command)
    if command.epilog:
        yield from (".PP", ".nf", *map(_escaped, _plain(command.epilog).splitlines()), ".fi")


def _argument(parameter: Any) -> str:
    name = f"{parameter.metavar}{'...' if parameter.nargs == -1 else ''}"
    return name if parameter.required else f"[{name}]"


def _options(command: Any) -> Iterator[str]:
    for parameter in command.params:
        if parameter.param_type_name != "option" or parameter.hidden:
            continue
        given = (*sorted(parameter.opts, key=len), *parameter.secondary_opts)
        names = ", ".join(f"\\fB{_escaped(name)}\\fR" for name in given)
        value = "" if parameter.is_flag or not parameter.metavar else f" \\fI{_escaped(parameter.metavar)}\\fR"
        yield from (".TP", names + value, _escaped(_plain(parameter.help or "") + _default(parameter)))


def _default(parameter: Any) -> str:
    default = parameter.default
    shown = parameter.show_default and not parameter.is_flag and isinstance(default, int | float | str)
    return f" [default: {default}]" if shown else ""


def _plain(text: str) -> str:
    """A help text without Rich's markup."""
    return Text.from_markup(text).plain


def _escaped(text: str) -> str:
    """Text as troff takes it: minus signs stay minus signs, and no line begins with a control character."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return re.sub(r"^([.'])", r"\\&\1", text)


if __name__ == "__main__":
    write_bytes(Path(sys.argv[1]), manual().encode())
