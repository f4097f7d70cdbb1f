"""``srspace data``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from srspace.cli import completion, options
from srspace.cli.commands import App
from srspace.cli.options import IO, argument, flag, option
from srspace.cli.output import print_json

app = App(help="List, fetch and prepare data sets.")


def _names() -> list[str]:
    return [*completion.datasets(), *completion.metric_weights()]


@app.command("list")
def list_(data_root: options.DataRoot = None, as_json: options.AsJson = False) -> None:
    """List the data sets known by name."""
    from rich.console import Console
    from rich.table import Table

    from srspace.data.catalog import data_root as default_root
    from srspace.data.catalog import load_catalog, locate

    root = data_root or default_root()
    table = Table("name", "images", "download", "licence", "where")
    for entry in load_catalog().values():
        parts = entry.own()
        bases = [locate(part, root) for part in parts]
        here = all(base is not None for base in bases)
        if as_json:
            print_json(asdict(entry) | {"here": here, "folder": str(bases[0]) if here else None})
            continue
        known = sum(part.known_size for part in parts)
        whole = all(archive.size for part in parts for archive in part.archives)
        size = f"{'' if whole else 'over '}{known / 1e9:.1f} GB" if known else "not known"
        where = str(bases[0]) if here and len(bases) == 1 else "here" if here else "not here"
        table.add_row(entry.name, str(entry.images), size, entry.licence, where)
    if not as_json:
        Console().print(table)
        typer.echo(f"kept in {root}")


@app.command()
def pull(
    name: Annotated[
        str,
        argument(
            "NAME", autocompletion=completion.complete(_names),
            help="A data set, or the weights of a metric: lpips-vgg, dists, pieapp, ...",
        ),
    ],
    data_root: options.DataRoot = None,
    scale: options.Scale = 4,
    keep_archives: Annotated[
        bool, flag("--keep-archives", panel=IO, help="Keep the downloaded archives.")
    ] = False,
    quiet: options.NoProgress = False,
) -> None:  # fmt: skip
    """Fetch a data set, or the weights of a metric, and print where it is.

    An interrupted download continues where it stopped.
    """
    from srspace.cli.output import named_progress
    from srspace.data.catalog import load_catalog
    from srspace.data.datasets import pull as fetch
    from srspace.errors import UsageError
    from srspace.suggestions import did_you_mean

    if name.lower() in load_catalog():
        with named_progress(quiet=quiet) as report:
            folder = fetch(name, root=data_root, scale=scale, keep_archives=keep_archives, progress=report)
        typer.echo(str(folder))
        return
    from srspace.metrics import fetch_weights, networks

    if name not in networks():
        known = _names()
        hint = did_you_mean(name, known)
        raise UsageError(f"neither a data set nor a metric is called {name!r}{hint}; there are {', '.join(known)}.")
    fetch_weights(name)
    typer.echo(f"{name} is here")


@app.command()
def prepare(
    source: Annotated[Path, argument("SOURCE", help="Folder of HR pictures, searched recursively.")],
    target: Annotated[Path, argument("TARGET", help="Folder to write.")],
    scale: options.Scale = 4,
    quiet: options.NoProgress = False,
) -> None:
    """Make a paired data set of HR pictures and their reductions by MATLAB's bicubic, and print its folder."""
    from srspace.cli.output import named_progress
    from srspace.data.preparation import prepare as make

    with named_progress(quiet=quiet) as report:
        made = make(source, target, scale=scale, progress=lambda share: report(f"{source}", share))
    typer.echo(f"{target} ({len(made)} pairs)")


@app.command()
def degrade(
    source: Annotated[Path, argument("SOURCE", help="Folder of HR pictures, searched recursively.")],
    target: Annotated[Path, argument("TARGET", help="Folder to write.")],
    seed: Annotated[int, option("--seed", panel=IO, metavar="N", help="Seed of the damage.")] = 0,
    scale: options.Scale = 4,
    config: Annotated[
        Path | None,
        option(
            "--config", panel=IO, metavar="FILE",
            help="JSON or TOML file that says how often each kind of damage occurs and how strong it is.",
        ),
    ] = None,
    quiet: options.NoProgress = False,
) -> None:  # fmt: skip
    """Make a paired data set of HR pictures and reductions that are damaged like pictures from the web.

    Pictures meet blur, wrong reductions, noise, sharpening, JPEG and WebP, each its own combination, which
    TARGET/manifest.json tells. The same seed gives the same damage.
    """
    from srspace.cli.output import named_progress
    from srspace.data.degrade import DegradeConfig
    from srspace.data.preparation import degrade as make
    from srspace.fields import build, read_table

    values = {"clean": 0.0, "scale": scale} | ({} if config is None else read_table(config))
    with named_progress(quiet=quiet) as report:
        made = make(
            source, target, config=build(DegradeConfig, values), seed=seed,
            progress=lambda share: report(f"{source}", share),
        )  # fmt: skip
    typer.echo(f"{target} ({len(made)} pairs)")
