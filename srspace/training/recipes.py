"""Recipes: the trainings that made the weights in the box, as files that can be run again. No torch here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from srspace.errors import UsageError
from srspace.fields import read_table
from srspace.suggestions import did_you_mean

FOLDER = Path(__file__).parent / "recipes"


@dataclass(frozen=True)
class Recipe:
    """Settings of one training.

    Attributes:
        name: of the file, without its suffix.
        kind: the kind of training.
        description: what it made, when, on what.
        options: settings by the names of the configurations' fields; all others have their defaults.
        after: the recipes whose weights it went on from, which are to be named as its start.
        unrecorded: what the original run is not known to have used; empty where everything is on record.
    """

    name: str
    kind: str
    description: str
    options: Mapping[str, Any] = field(default_factory=dict)
    after: tuple[str, ...] = ()
    unrecorded: str = ""

    @classmethod
    def read(cls, path: Path) -> Recipe:
        """Read a recipe.

        Raises:
            UsageError: the file is missing, damaged, or not a recipe.
        """
        values = read_table(path)
        try:
            after = tuple(values.pop("after", ()))
            return cls(path.stem, values.pop("task"), values.pop("description"), values.pop("options"), after, **values)
        except (KeyError, TypeError) as error:
            raise UsageError(f"{path} is not a recipe: it needs task, description and options.") from error

    def settings(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The recipe's settings, with those that the user gave in their place.

        Raises:
            UsageError: the recipe goes on from weights that the user does not name.
        """
        settings = {**self.options, **given}
        if self.after and settings.get("start") is None:
            raise UsageError(
                f"the recipe {self.name} goes on from the weights of {' and '.join(self.after)}, "
                "but no weights are named to start from."
            )
        return settings


def recipes() -> dict[str, Recipe]:
    """All recipes in the box by name."""
    return {path.stem: Recipe.read(path) for path in sorted(FOLDER.glob("*.toml"))}


def find_recipe(name: str, kind: str) -> Recipe:
    """The recipe of that name.

    Args:
        name: of a recipe in the box, or the path of a TOML file.
        kind: the kind of training that it must be for.

    Raises:
        UsageError: there is none, or it is for another kind of training.
    """
    path = FOLDER / f"{name}.toml"
    if name.endswith(".toml"):
        path = Path(name)
    elif not path.is_file():
        known = [recipe.name for recipe in recipes().values() if recipe.kind == kind]
        hint = did_you_mean(name, known)
        raise UsageError(f"there is no recipe {name!r}{hint}; for this training there are {', '.join(known)}.")
    recipe = Recipe.read(path)
    if recipe.kind != kind:
        raise UsageError(f"the recipe {recipe.name} is for training {recipe.kind}, not {kind}.")
    return recipe
