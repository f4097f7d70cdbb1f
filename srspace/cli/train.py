"""``srspace train``: one command for each kind of training, made of its configuration classes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from srspace.cli import completion, options
from srspace.cli.commands import App
from srspace.cli.generated import OptionGroup, with_options
from srspace.cli.options import DEVICE, IO, flag, option
from srspace.cli.output import message, named_progress
from srspace.training.kinds import KINDS, Kind, Training
from srspace.training.recipes import find_recipe, recipes

app = App(help="Train an encoder, a flow, a fusion network with or without a dial, or the assessor.")

_PANELS = ("{kind}", "Fresh network", "Training", "Pictures", DEVICE)
_NAMES = {
    "start": ("--from",),
    "reductions": ("--reduce",),
    "temperatures": ("--tau", "-t"),
    "lpips_nets": ("--lpips-net",),
    "samples": ("--samples", "-n"),
}
_COMPLETIONS = {name: completion.weights() for name in ("start", "encoder", "teacher")} | {
    "weights": completion.weights("flow")
}

Data = Annotated[
    list[Path],
    option(
        "--data", panel=IO, metavar="DIR",
        help="Folder of HR pictures to train on, searched recursively; to be repeated where there are several flows.",
    ),
]  # fmt: skip
Out = Annotated[
    Path,
    option("--out", "-o", panel=IO, metavar="DIR", help="Run folder; an interrupted run there is resumed."),
]
Val = Annotated[
    Path | None, option("--val", panel=IO, metavar="DIR", help="Folder of pictures held out for validation.")
]
RecipeName = Annotated[
    str | None,
    option(
        "--recipe", panel=IO, metavar="NAME", autocompletion=completion.complete(completion.recipes),
        help="Take the options of a recipe: a name of 'srspace train recipes', or a TOML file.",
    ),
]  # fmt: skip
Config = Annotated[
    Path | None,
    option(
        "--config", panel=IO, metavar="FILE",
        help="JSON or TOML file with options, such as a run folder's options.json.",
    ),
]  # fmt: skip
Restart = Annotated[bool, flag("--restart", panel=IO, help="Begin again instead of resuming.")]


def _command(kind: Kind) -> Callable[..., None]:
    panels = (panel.format(kind=kind.name.capitalize()) for panel in _PANELS)
    groups = [
        OptionGroup(known, panel, _NAMES, _COMPLETIONS) for (_, known), panel in zip(kind.groups(), panels, strict=True)
    ]

    @with_options(groups)
    def train(
        data: Data,
        out: Out,
        given: dict[str, Any],
        val: Val = None,
        recipe: RecipeName = None,
        config: Config = None,
        restart: Restart = False,
        device: options.Device = "auto",
    ) -> None:
        if config is not None:
            from srspace.fields import read_table

            given = read_table(config) | given
        if recipe is not None:
            given = find_recipe(recipe, kind.name).settings(given)
        training = Training.of(kind.name, given)

        from srspace.devices import pick_device
        from srspace.training.processes import process_group, rank
        from srspace.training.run import build_task, train
        from srspace.training.sources import Sources

        with process_group(pick_device(device)) as where:
            first = rank() == 0
            with named_progress(quiet=not first) as progress:
                sources = Sources(tuple(data), val, training.data, training.train, where, progress)
                task = build_task(training, sources)
            train(task, training, out, resume=not restart, report=_report)
        if first:
            message(f"saved {out}")

    train.__doc__ = f"{kind.help}\n\nOptions given here override those of --config, which override those of --recipe."
    return train


for _kind in KINDS.values():
    app.command(_kind.name)(_command(_kind))


@app.command("recipes")
def list_recipes() -> None:
    """List the recipes: the trainings that made the weights in the box."""
    for recipe in recipes().values():
        typer.echo(f"{recipe.name} ({recipe.kind}): {recipe.description}")


def _report(record: dict[str, Any]) -> None:
    parts = [f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in record.items()]
    message("  ".join(parts))
