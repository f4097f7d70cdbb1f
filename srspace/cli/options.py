"""Options that several commands share, each written once; and a way to take options as one object.

Help texts are escaped, because Typer takes square brackets for Rich's markup and swallows them.
"""

from __future__ import annotations

import functools
import inspect
from collections import Counter
from collections.abc import Callable
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Annotated, Any, Protocol, TypeVar, get_type_hints

import typer
from rich.markup import escape

from srspace import modes
from srspace.cli import completion
from srspace.cli.completion import complete
from srspace.config import PRECISIONS, SamplingConfig, parse_memory

IO = "Input and output"
SAMPLING = "Sampling"
DEVICE = "Device"
ADVANCED = "Advanced"

T = TypeVar("T")


def option(*names: str, help: str, panel: str | None = None, default: str | None = None, **settings: Any) -> Any:
    """A Typer option.

    Args:
        *names: such as ``--tau`` and ``-t``; without one, it is called like its parameter.
        panel: the part of the help page that it stands in.
        help: a sentence.
        default: what happens without it, in words, where its default value does not say it.
        **settings: further ones of ``typer.Option``.
    """
    text = escape(help)
    if default is not None:  # Typer would put it into brackets within brackets
        text += f" [dim]{escape(f'[default: {default}]')}[/dim]"
    settings.setdefault("show_default", default is None)
    return typer.Option(*names, rich_help_panel=panel, help=text, **settings)


def flag(*names: str, help: str, panel: str | None = None) -> Any:
    """A Typer option without a value."""
    return option(*names, help=help, panel=panel)


def argument(name: str, *, help: str, **settings: Any) -> Any:
    """A Typer argument, called ``name`` on the help page."""
    return typer.Argument(metavar=name, help=escape(help), **settings)


class Drawing(Protocol):
    """What commands that draw candidates are told."""

    @property
    def samples(self) -> int | None: ...
    @property
    def tau(self) -> float: ...
    @property
    def seed(self) -> int: ...
    @property
    def tile(self) -> int | None: ...
    @property
    def max_memory(self) -> str | None: ...


def sampling(told: Drawing, *, latents: Any = None) -> SamplingConfig:
    """How candidates are drawn, as the library takes it.

    Raises:
        UsageError: a number is out of range, or the memory is no size.
    """
    limit = None if told.max_memory is None else parse_memory(told.max_memory)
    return SamplingConfig(
        temperature=told.tau, seed=told.seed, samples=told.samples, tile=told.tile, max_memory=limit, latents=latents
    )


def _usual_samples() -> str:
    """How many candidates modes draw: the usual number, then the modes that differ."""
    free = [mode for mode in modes.every().values() if not mode.fixed]
    usual = Counter(mode.samples for mode in free).most_common(1)[0][0]
    others = ", ".join(f"{mode.name}: {mode.samples}" for mode in free if mode.samples != usual)
    return f"{usual} ({others})" if others else str(usual)


Weights = Annotated[
    str,
    option(
        "--weights", "-w", panel=ADVANCED, metavar="NAME", autocompletion=completion.weights("flow"),
        help="Weights of the flow: a name of 'srspace weights list', a folder, or hf://owner/repo[@revision].",
    ),
]  # fmt: skip
AutoWeights = Annotated[
    str,
    option(
        "--weights", "-w", panel=ADVANCED, metavar="NAME", autocompletion=completion.chosen_weights,
        help="Weights: auto (those that suit each picture), catalogue name, folder, file of another project's model, "
        "or hf://owner/repo[@revision].",
    ),
]  # fmt: skip
Fusion = Annotated[
    str | None,
    option(
        "--fusion", panel=ADVANCED, metavar="NAME", autocompletion=completion.weights("fusion"),
        help="Weights of the fusion network, named like --weights.", default="those made for the flow",
    ),
]  # fmt: skip
Device = Annotated[
    str,
    option(
        "--device", panel=DEVICE, metavar="NAME", help="auto, cpu, cuda, cuda:1 (the second GPU) or mps.",
        autocompletion=complete(lambda: ("auto", "cpu", "cuda", "mps")),
    ),
]  # fmt: skip
Devices = Annotated[
    str,
    option(
        "--device", panel=DEVICE, metavar="NAME",
        help="auto, cpu, cuda, cuda:1 (the second GPU) or mps; several share the pictures, or a single one: "
        "cuda:0,cuda:1 or cuda:all.",
        autocompletion=complete(lambda: ("auto", "cpu", "cuda", "cuda:all", "mps")),
    ),
]  # fmt: skip
Precision = Annotated[
    str,
    option(
        "--precision", panel=DEVICE, metavar="NAME", autocompletion=complete(lambda: PRECISIONS),
        help=f"{', '.join(PRECISIONS[:-1])} or {PRECISIONS[-1]}.",
    ),
]  # fmt: skip
Tile = Annotated[
    int | None,
    option(
        "--tile", panel=DEVICE, metavar="PIXELS", help="Side of a tile, in input pixels; 0: never tile.",
        default="as large as memory allows",
    ),
]  # fmt: skip
MaxMemory = Annotated[
    str | None,
    option(
        "--max-memory", panel=DEVICE, metavar="SIZE", help="Limit on the device's memory, such as 4G or 512M.",
        default="half of what is free",
    ),
]  # fmt: skip
Mode = Annotated[
    str,
    option(
        "--mode", "-m", panel=SAMPLING, metavar="NAME", autocompletion=completion.modes,
        help=f"How candidates become one picture: {', '.join(modes.every())}.",
    ),
]  # fmt: skip
UsualMode = Annotated[
    str | None,
    option(
        "--mode", "-m", panel=SAMPLING, metavar="NAME", autocompletion=completion.modes,
        help=f"How candidates become one picture: {', '.join(modes.every())}.",
        default=f"{modes.DEFAULT}; {modes.PLAIN} where the weights have no network for it",
    ),
]  # fmt: skip
Samples = Annotated[
    int | None,
    option("--samples", "-n", panel=SAMPLING, metavar="N", help="Candidates per picture.", default=_usual_samples()),
]
Tau = Annotated[
    float,
    option(
        "--tau", "-t", panel=SAMPLING, metavar="NUMBER",
        help="Temperature of the candidates, from 0 (no randomness) to 2.",
    ),
]  # fmt: skip
Seed = Annotated[int, option("--seed", panel=SAMPLING, metavar="N", help="Seed of the candidates.")]
Scale = Annotated[int, option("--scale", panel=IO, metavar="N", help="How many times as large HR is as LR.", min=2)]
DataRoot = Annotated[
    Path | None,
    option(
        "--data-root", panel=IO, metavar="DIR", help="Where data sets are kept.", default="$SRSPACE_DATA or the cache"
    ),
]
Out = Annotated[Path, option("--out", "-o", panel=IO, metavar="DIR", help="Folder to write.")]
AsJson = Annotated[bool, flag("--json", panel=IO, help="Print JSON, one object per line.")]
Quiet = Annotated[bool, flag("--quiet", "-q", panel=IO, help="Print errors only.")]
NoProgress = Annotated[bool, flag("--quiet", "-q", panel=IO, help="Show no progress.")]


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
        command.__doc__ = escape("\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs))
        command.__signature__ = inspect.Signature(list(parameters.values()))  # type: ignore[attr-defined]
        command.__annotations__ = {name: parameter.annotation for name, parameter in parameters.items()}
        return command

    return decorate


def _parameter(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    empty = inspect.Parameter.empty
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=empty if default is MISSING else default, annotation=annotation
    )
