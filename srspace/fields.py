"""What the fields of a configuration class are: type, default and documentation, each taken from where it stands.

Options of the command line are generated from this, and values out of files are checked by it.
"""

from __future__ import annotations

import inspect
import json
import re
import tomllib
import types
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from srspace.errors import UsageError
from srspace.suggestions import did_you_mean

Config = TypeVar("Config")


@dataclass(frozen=True)
class Field:
    """One field of a configuration class.

    Attributes:
        name: its name.
        kind: type of its value, or of each of its values: bool, int, float, str or Path.
        many: whether it holds a tuple of them.
        count: how many that tuple holds; None where any number will do.
        optional: whether it may be None.
        choices: the strings it may be; empty where any will do.
        default: its default; ``dataclasses.MISSING`` where there is none.
        help: its documentation, from the class's docstring.
    """

    name: str
    kind: type
    many: bool
    count: int | None
    optional: bool
    choices: tuple[str, ...]
    default: Any
    help: str

    def checked(self, value: Any) -> Any:
        """The value as the class takes it.

        Raises:
            UsageError: it is of another type, or not one of the choices.
        """
        if value is None and self.optional:
            return None
        if self.many:
            values = value if isinstance(value, list | tuple) else [value]
            if self.count not in (None, len(values)):
                raise UsageError(f"{self.name} takes {self.count} values, not {len(values)}.")
            return tuple(self._one(v) for v in values)
        return self._one(value)

    def _one(self, value: Any) -> Any:
        if self.choices and value not in self.choices:
            raise UsageError(f"{self.name} must be one of {', '.join(self.choices)}, not {value!r}.")
        if self.kind is float and isinstance(value, int) and not isinstance(value, bool):
            return float(value)
        if self.kind is Path and isinstance(value, str):
            return Path(value)
        if not isinstance(value, self.kind) or (isinstance(value, bool) and self.kind is not bool):
            raise UsageError(f"{self.name} must be {_WORDS[self.kind]}, not {value!r}.")
        return value


_WORDS: dict[type, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    Path: "a path",
}


def fields_of(config: type) -> dict[str, Field]:
    """The fields of a dataclass by name.

    Raises:
        TypeError: a field is of a type that cannot be described.
    """
    hints, documented = get_type_hints(config), documentation(config)
    described = {}
    for field in fields(config):
        default = field.default if field.default_factory is MISSING else field.default_factory()
        help = documented.get(field.name, "")
        described[field.name] = _described(field.name, hints[field.name], default, help)
    return described


def build(config: type[Config], values: Mapping[str, Any]) -> Config:
    """A configuration from plain values, as a file or a command line gives them.

    Raises:
        UsageError: a name is unknown, or a value is not what the class takes.
    """
    known = fields_of(config)
    unknown = sorted(set(values) - set(known))
    if unknown:
        hint = did_you_mean(unknown[0], known)
        raise UsageError(f"there is no setting {unknown[0]}{hint}; there are {', '.join(sorted(known))}.")
    try:
        return config(**{name: known[name].checked(value) for name, value in values.items()})
    except ValueError as error:
        raise UsageError(f"{error}.") from error


def read_table(path: Path) -> dict[str, Any]:
    """A TOML or, by its suffix, JSON file with one table.

    Raises:
        UsageError: the file cannot be read, or holds something else.
    """
    try:
        text = path.read_text(encoding="utf-8")
        values = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise UsageError(f"{path} is not valid {'JSON' if path.suffix == '.json' else 'TOML'}.") from error
    if not isinstance(values, dict):
        raise UsageError(f"{path} does not hold settings.")
    return values


def documentation(config: type) -> dict[str, str]:
    """What the section ``Attributes`` of a class's docstring says of each, on one line."""
    lines = inspect.cleandoc(config.__doc__ or "").splitlines()
    if "Attributes:" not in lines:
        return {}
    found: dict[str, str] = {}
    name = ""
    for line in lines[lines.index("Attributes:") + 1 :]:
        if line and not line.startswith(" "):
            break
        if match := re.match(r"    (\w+): (.*)", line):
            name = match[1]
            found[name] = match[2].strip()
        elif line.strip() and name:
            found[name] += " " + line.strip()
    return found


def _described(name: str, hint: Any, default: Any, help: str) -> Field:
    optional, count = False, None
    if get_origin(hint) in (Union, types.UnionType):
        rest = [part for part in get_args(hint) if part is not type(None)]
        optional, hint = len(rest) < len(get_args(hint)), rest[0]
    many = get_origin(hint) is tuple
    if many:
        parts = get_args(hint)
        count, hint = (None if parts[-1] is Ellipsis else len(parts)), parts[0]
    choices = tuple(get_args(hint)) if get_origin(hint) is Literal else ()
    kind = str if choices else hint
    if kind not in _WORDS:
        raise TypeError(f"the field {name} has a type that options cannot have: {hint}")
    return Field(name, kind, many, count, optional, choices, default, help)
