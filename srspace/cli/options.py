"""Options that several commands share, each written once; and a way to take options as one object.

Help texts go through :func:`plain`, because Typer takes square brackets for Rich's markup and swallows them.
"""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable
from dataclasses import MISSING, fields
from typing import Annotated, Any, TypeVar, get_type_hints

import typer

from srspace.config import PRECISIONS

IO = "Input and output"
SAMPLING = "Sampling"
DEVICE = "Device"
ADVANCED = "Advanced"

T = TypeVar("T")


def plain(text: str) -> str:
    """``text`` for a help page, with square brackets shown as they are."""
    return re.sub(r"\[(?=[a-z#/@])", r"\\[", text)


def option(*names: str, help: str, panel: str | None = None, default: str | None = None, **settings: Any) -> Any:
    """A Typer option.

    Args:
        *names: such as ``--tau`` and ``-t``.
        panel: the part of the help page that it stands in.
        help: a sentence.
        default: what happens without it, in words, where its default value does not say it.
        **settings: further ones of ``typer.Option``.
    """
    first, *others = names
    shown = True if default is None else default
    return typer.Option(first, *others, rich_help_panel=panel, help=plain(help), show_default=shown, **settings)


def flag(*names: str, help: str, panel: str | None = None) -> Any:
    """A Typer option without a value."""
    return option(*names, help=help, panel=panel, metavar="")


def _complete(values: tuple[str, ...]) -> Callable[[str], list[str]]:
    return lambda incomplete: [value for value in values if value.startswith(incomplete)]


Weights = Annotated[
    str,
    option(
        "--weights", "-w", panel=ADVANCED, metavar="NAME",
        help="Weights: catalogue name, folder or hf://owner/repo[@revision].",
    ),
]  # fmt: skip
AutoWeights = Annotated[
    str,
    option(
        "--weights", "-w", panel=ADVANCED, metavar="NAME",
        help="Weights: auto (those that suit each picture), catalogue name, folder or hf://owner/repo[@revision].",
    ),
]  # fmt: skip
Device = Annotated[
    str,
    option(
        "--device", panel=DEVICE, metavar="NAME", help="auto, cpu, cuda, cuda:1 (the second GPU) or mps.",
        autocompletion=_complete(("auto", "cpu", "cuda", "mps")),
    ),
]  # fmt: skip
Precision = Annotated[
    str,
    option(
        "--precision", panel=DEVICE, metavar="NAME", help=f"{', '.join(PRECISIONS)}.",
        autocompletion=_complete(PRECISIONS),
    ),
]  # fmt: skip
Tile = Annotated[
    int | None,
    option(
        "--tile",
        panel=DEVICE,
        metavar="PIXELS",
        help="Side of a tile in input pixels; 0: never tile.",
        default="as memory allows",
    ),
]
MaxMemory = Annotated[
    str | None,
    option(
        "--max-memory", panel=DEVICE, metavar="SIZE", help="Most memory to take on the device, such as 4G or 512M.",
        default="half of what is free",
    ),
]  # fmt: skip
Tau = Annotated[
    float, option("--tau", "-t", panel=SAMPLING, metavar="NUMBER", help="Temperature of the candidates, from 0 to 2.")
]
Samples = Annotated[
    int | None,
    option(
        "--samples", "-n", panel=SAMPLING, metavar="N", help="Candidates per picture.", default="by mode, usually 10"
    ),
]
Seed = Annotated[int, option("--seed", panel=SAMPLING, metavar="NUMBER", help="Seed of the candidates.")]
Quiet = Annotated[bool, flag("--quiet", "-q", panel=IO, help="Print errors only.")]
AsJson = Annotated[bool, flag("--json", panel=IO, help="Print JSON, an object a line.")]


def takes(options: type[T]) -> Callable[[Callable[[T], int]], Callable[..., int]]:
    """Make a command of a function that takes all its options as one frozen dataclass.

    The function's docstring becomes the help page. A field with ``metadata={"options": ...}``, a function without
    arguments that returns annotated types by name, stands for so many options, which may all be left out; it gets a
    dictionary of those that were given.

    Args:
        options: the dataclass; its other fields are annotated as parameters of a Typer command are.
    """
    hints = get_type_hints(options, include_extras=True)
    parameters: dict[str, inspect.Parameter] = {}
    groups: dict[str, list[str]] = {}
    for f in sorted(fields(options), key=lambda f: "options" in f.metadata):  # type: ignore[arg-type]
        if "options" in f.metadata:
            members = {n: a for n, a in f.metadata["options"]().items() if n not in parameters}
            groups[f.name] = list(members)
            parameters |= {name: _parameter(name, annotation, None) for name, annotation in members.items()}
        else:
            parameters[f.name] = _parameter(f.name, hints[f.name], f.default)

    def decorate(function: Callable[[T], int]) -> Callable[..., int]:
        @functools.wraps(function)
        def command(**values: Any) -> int:
            for name, members in groups.items():
                given = {member: values.pop(member) for member in members}
                values[name] = {member: value for member, value in given.items() if value is not None}
            return function(options(**values))

        paragraphs = inspect.cleandoc(function.__doc__ or "").split("\n\n")
        command.__doc__ = plain("\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs))
        command.__signature__ = inspect.Signature(list(parameters.values()))  # type: ignore[attr-defined]
        command.__annotations__ = {name: parameter.annotation for name, parameter in parameters.items()}
        return command

    return decorate


def _parameter(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    empty = inspect.Parameter.empty
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=empty if default is MISSING else default, annotation=annotation
    )
