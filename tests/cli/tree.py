"""The tree of commands, as Typer builds it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from srspace.cli.main import command

ROOT: Any = command()


def _walk(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    yield " ".join(path), command
    for name, child in getattr(command, "commands", {}).items():
        yield from _walk(child, (*path, name))


NODES: dict[str, Any] = dict(_walk(ROOT))
COMMANDS = [path for path, node in NODES.items() if not hasattr(node, "commands")]
GROUPS = [path for path, node in NODES.items() if hasattr(node, "commands")]


def context(path: str) -> Any:
    """A context in which the command's pages are made."""
    node = NODES[path]
    return node.make_context("srspace", [], resilient_parsing=True, help_option_names=["-h", "--help"])


@cache
def parameters(path: str) -> tuple[Any, ...]:
    """All options and arguments of a command."""
    return tuple(NODES[path].get_params(context(path)))


def every_option(path: str) -> list[Any]:
    """All options of a command."""
    return [parameter for parameter in parameters(path) if parameter.param_type_name == "option"]
