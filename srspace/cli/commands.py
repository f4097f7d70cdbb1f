"""Commands and groups whose help pages show what users type, not Python's types.

Typer writes the type of every argument and flag beside it (``<list[str]>``, ``<bool>``), and puts ``--help`` into a
panel of its own. Here both are left out.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import typer
from typer.core import TyperCommand, TyperGroup

from srspace.cli.options import IO

if TYPE_CHECKING:
    _Base = TyperCommand
else:
    _Base = object

Function = TypeVar("Function", bound=Callable[..., Any])


class _Page(_Base):
    def get_params(self, ctx: Any) -> list[Any]:
        parameters: list[Any] = super().get_params(ctx)
        for parameter in parameters:
            if parameter.param_type_name == "argument":
                parameter.display_type_rich = lambda ctx: None  # its name says it
            elif parameter.is_flag:
                parameter.metavar = ""
        return parameters

    def get_help_option(self, ctx: Any) -> Any:
        option = super().get_help_option(ctx)
        if option is not None and any(getattr(other, "rich_help_panel", None) == IO for other in self.params):
            option.rich_help_panel = IO
        return option

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        return [re.sub(r"[{}]", "", piece) for piece in super().collect_usage_pieces(ctx)]


class Command(_Page, TyperCommand):
    """A command."""


class Group(_Page, TyperGroup):
    """A group of commands."""


class BenchGroup(Group):
    """``bench DATASET ...`` is short for ``bench run DATASET ...``; ``bench compare ...`` stays what it is."""

    default = "run"

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the default command's name in front unless a command or help is asked for."""
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = [self.default, *args]
        return super().parse_args(ctx, args)


class App(typer.Typer):
    """A Typer application made of such commands."""

    def __init__(self, **settings: Any) -> None:
        chosen: dict[str, Any] = {"cls": Group, "no_args_is_help": True, "rich_markup_mode": "rich"} | settings
        super().__init__(**chosen)

    def command(self, name: str | None = None, **settings: Any) -> Callable[[Function], Function]:
        """As Typer's."""
        chosen: dict[str, Any] = {"cls": Command} | settings
        return super().command(name, **chosen)
