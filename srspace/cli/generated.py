"""Options made of configuration classes: name, type, choices, default and help stand in the class alone."""

from __future__ import annotations

import enum
import inspect
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass, field
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer
from rich.markup import escape

from srspace.cli.completion import Completion
from srspace.cli.options import option
from srspace.fields import Field

_LONGEST_NUMBER = 8
_LONGEST_CHOICES = 12
_METAVARS: dict[type, str] = {int: "N", float: "NUMBER", str: "NAME", Path: "PATH"}


@dataclass(frozen=True)
class OptionGroup:
    """Options of one configuration class.

    Attributes:
        fields: by name, as :func:`srspace.fields.fields_of` gives them.
        panel: heading of their part of the help text.
        names: declarations, such as ``("--tau", "-t")``, of fields that are not called after themselves.
        completions: what a shell completes, by the name of the field.
    """

    fields: Mapping[str, Field]
    panel: str
    names: Mapping[str, Sequence[str]] = field(default_factory=dict)
    completions: Mapping[str, Completion] = field(default_factory=dict)


def with_options(
    groups: Sequence[OptionGroup], *, into: str = "given"
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the options of configuration classes.

    Args:
        groups: the options, in the order of the help text; no two fields share a name.
        into: the command's parameter that takes a dictionary of the values that the user gave, and of no others.
    """
    options = {name: (group, found) for group in groups for name, found in group.fields.items()}

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        def command(**values: Any) -> None:
            context: typer.Context = values.pop("context")
            typed = {name: values.pop(name) for name in options}
            given = {name: _plain(value) for name, value in typed.items() if _is_given(context, name)}
            function(**values, **{into: given})

        parameters = [_keyword("context", typer.Context), *_own_parameters(function, into)]
        parameters += [_parameter(found, group) for group, found in options.values()]
        # Panels of the help text come in the order of their first options: the command's own options of a panel that
        # is generated otherwise must not pull it to the front.
        generated = {group.panel: place for place, group in enumerate(groups)}
        parameters.sort(key=lambda p: generated.get(_panel(p), -1))
        command.__name__, command.__doc__ = function.__name__, escape(inspect.cleandoc(function.__doc__ or ""))
        command.__annotations__ = {p.name: p.annotation for p in parameters}
        command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        return command

    return decorate


def _own_parameters(function: Callable[..., None], into: str) -> Iterator[inspect.Parameter]:
    hints = get_type_hints(function, include_extras=True)
    for parameter in inspect.signature(function).parameters.values():
        if parameter.name != into:
            yield _keyword(parameter.name, hints[parameter.name], parameter.default)


def _keyword(name: str, annotation: Any, default: Any = inspect.Parameter.empty) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _panel(parameter: inspect.Parameter) -> str:
    return next((part.rich_help_panel for part in getattr(parameter.annotation, "__metadata__", ())), "")


def _parameter(found: Field, group: OptionGroup) -> inspect.Parameter:
    names = group.names.get(found.name, ())
    if found.default is False and not names:
        names = (f"--{found.name.replace('_', '-')}",)  # without a --no-... of its own
    info = option(
        *names,
        help=_help(found),
        panel=group.panel,
        metavar=_metavar(found),
        show_default=_shows(found.default),
        default=_rounded(found.default),
        autocompletion=group.completions.get(found.name),
    )
    return _keyword(found.name, Annotated[_type(found), info], _default(found))


def _help(found: Field) -> str:
    """The documentation of a field as a sentence, which names its choices where the metavar does not."""
    text = found.help.rstrip(".")
    if _metavar(found) == _METAVARS[str] and not set(found.choices) <= set(_words(text)):
        text += f" ({', '.join(found.choices)})"
    return f"{text[:1].upper()}{text[1:]}."


def _words(text: str) -> list[str]:
    return re.findall(r"[\w-]+", text)


def _metavar(found: Field) -> str | None:
    choices = "|".join(found.choices)
    if choices and len(choices) <= _LONGEST_CHOICES:
        return choices
    metavar = _METAVARS.get(found.kind)
    return metavar if metavar is None or found.count is None else " ".join([metavar] * found.count)


def _type(found: Field) -> Any:
    kind: Any = found.kind
    if found.choices:
        make: Any = enum.Enum  # mypy wants to see the members
        kind = make("Choice", {choice: choice for choice in found.choices}, type=str)
    if found.many:
        return tuple[(kind,) * found.count] if found.count else list[kind]  # type: ignore[misc]
    return kind | None if found.optional else kind


def _default(found: Field) -> Any:
    if found.default is MISSING:
        return inspect.Parameter.empty
    return list(found.default) if found.many and not found.count else found.default


def _rounded(default: Any) -> str | None:
    """What to show in place of a default with many digits."""
    return f"{default:.4g}" if isinstance(default, float) and len(repr(default)) > _LONGEST_NUMBER else None


def _shows(default: Any) -> bool:
    """Whether a help page shows a default as it is."""
    said = _rounded(default) is not None or default is MISSING or default == ()
    return not said and default is not None and default is not False


def _is_given(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name != "DEFAULT"


def _plain(value: Any) -> Any:
    """Enumerations back to their strings, lists to tuples."""
    if isinstance(value, list | tuple):
        return tuple(_plain(v) for v in value)
    return value.value if isinstance(value, enum.Enum) else value
