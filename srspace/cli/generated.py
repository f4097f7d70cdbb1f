"""Options made of configuration classes: name, type, choices, default and help stand in the class alone."""

from __future__ import annotations

import enum
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass, field
from typing import Annotated, Any, get_type_hints

import typer
from rich.markup import escape

from srspace.fields import Field

_LONGEST_NUMBER = 8


@dataclass(frozen=True)
class OptionGroup:
    """Options of one configuration class.

    Attributes:
        fields: by name, as :func:`srspace.fields.fields_of` gives them.
        panel: heading of their part of the help text.
        names: declarations, such as ``("--tau", "-t")``, of fields that are not called after themselves.
    """

    fields: Mapping[str, Field]
    panel: str
    names: Mapping[str, Sequence[str]] = field(default_factory=dict)


def with_options(
    groups: Sequence[OptionGroup], *, into: str = "given"
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the options of configuration classes.

    Args:
        groups: the options, in the order of the help text; no two fields share a name.
        into: the command's parameter that takes a dictionary of the values that the user gave, and of no others.
    """
    options = {name: (group, option) for group in groups for name, option in group.fields.items()}

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        def command(**values: Any) -> None:
            context: typer.Context = values.pop("context")
            typed = {name: values.pop(name) for name in options}
            given = {name: _plain(value) for name, value in typed.items() if _is_given(context, name)}
            function(**values, **{into: given})

        parameters = [_keyword("context", typer.Context), *_own_parameters(function, into)]
        parameters += [_parameter(option, group) for group, option in options.values()]
        # Panels of the help text come in the order of their first options: the command's own options of a panel that
        # is generated otherwise must not pull it to the front.
        generated = {group.panel: place for place, group in enumerate(groups)}
        parameters.sort(key=lambda p: generated.get(_panel(p), -1))
        command.__name__, command.__doc__ = function.__name__, function.__doc__
        command.__annotations__ = {p.name: p.annotation for p in parameters}
        command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        return command

    return decorate


def help_of(option: Field) -> str:
    """The documentation of a field as a sentence, with brackets that Rich would take for markup escaped."""
    text = option.help.rstrip(".")
    return escape(text[:1].upper() + text[1:] + ".")


def _own_parameters(function: Callable[..., None], into: str) -> Iterator[inspect.Parameter]:
    hints = get_type_hints(function, include_extras=True)
    for parameter in inspect.signature(function).parameters.values():
        if parameter.name != into:
            yield _keyword(parameter.name, hints[parameter.name], parameter.default)


def _keyword(name: str, annotation: Any, default: Any = inspect.Parameter.empty) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _panel(parameter: inspect.Parameter) -> str:
    return next((part.rich_help_panel for part in getattr(parameter.annotation, "__metadata__", ())), "")


def _parameter(option: Field, group: OptionGroup) -> inspect.Parameter:
    declarations = group.names.get(option.name, ())
    if option.default is False and not declarations:
        declarations = (f"--{option.name.replace('_', '-')}",)  # without a --no-... of its own
    info = typer.Option(
        *declarations, help=help_of(option), rich_help_panel=group.panel, show_default=_shown(option.default)
    )
    return _keyword(option.name, Annotated[_type(option), info], _default(option))


def _type(option: Field) -> Any:
    kind: Any = option.kind
    if option.choices:
        make: Any = enum.Enum  # mypy wants to see the members
        kind = make("Choice", {choice: choice for choice in option.choices}, type=str)
    if option.many:
        return tuple[(kind,) * option.count] if option.count else list[kind]  # type: ignore[misc]
    return kind | None if option.optional else kind


def _default(option: Field) -> Any:
    if option.default is MISSING:
        return inspect.Parameter.empty
    return list(option.default) if option.many and not option.count else option.default


def _shown(default: Any) -> bool | str:
    """Whether to show a default, or what to show in its place."""
    if isinstance(default, float) and len(repr(default)) > _LONGEST_NUMBER:
        return f"{default:.4g}"
    return not any(default is nothing for nothing in (MISSING, None, False)) and default != ()


def _is_given(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name != "DEFAULT"


def _plain(value: Any) -> Any:
    """Enumerations back to their strings, lists to tuples."""
    if isinstance(value, list | tuple):
        return tuple(_plain(v) for v in value)
    return value.value if isinstance(value, enum.Enum) else value


def described(groups: Sequence[OptionGroup]) -> Iterator[tuple[str, str]]:
    """Every option's field name and help, for tests of the documentation."""
    for group in groups:
        for name, option in group.fields.items():
            yield name, option.help
