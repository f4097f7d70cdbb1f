"""``srspace data``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from srspace.cli.output import print_json

app = typer.Typer(no_args_is_help=True, help="List, fetch and prepare data sets.")
Root = Annotated[
    Path | None, typer.Option("--data-root", help="Where data sets are kept (else $SRSPACE_DATA or the cache).")
]
Json = Annotated[bool, typer.Option("--json", help="JSON on stdout.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")]


@app.command("list")
def list_(data_root: Root = None, as_json: Json = False) -> None:
    """List the data sets that are known by name."""
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
    name: Annotated[str, typer.Argument(help="A data set, or a metric with weights: lpips-vgg, dists, pieapp, ...")],
    data_root: Root = None,
    scale: Annotated[int, typer.Option(help="Which LR images to fetch along.")] = 4,
    keep_archives: Annotated[bool, typer.Option("--keep-archives", help="Keep what was downloaded.")] = False,
    quiet: Quiet = False,
) -> None:
    """Fetch a data set, or the weights of a metric; prints where it is.

    An interrupted download goes on where it stopped.
    """
    from srspace.cli.output import named_progress
    from srspace.data.catalog import load_catalog
    from srspace.data.datasets import pull as fetch
    from srspace.errors import UsageError

    if name.lower() in load_catalog():
        with named_progress(quiet=quiet) as report:
            folder = fetch(name, root=data_root, scale=scale, keep_archives=keep_archives, progress=report)
        typer.echo(str(folder))
        return
    from srspace.metrics import fetch_weights, networks

    if name not in networks():
        known = ", ".join((*load_catalog(), *networks()))
        raise UsageError(f"neither a data set nor a metric is called {name!r}; there are {known}.")
    fetch_weights(name)
    typer.echo(f"{name} is here")


@app.command()
def prepare(
    source: Annotated[Path, typer.Argument(help="Folder of HR pictures, searched recursively.")],
    target: Annotated[Path, typer.Argument(help="Folder to fill.")],
    scale: Annotated[int, typer.Option(min=2, help="How much smaller LR is.")] = 4,
    quiet: Quiet = False,
) -> None:
    """Make LR pictures by MATLAB's bicubic and lay both out as a paired data set; prints the folder."""
    from srspace.cli.output import named_progress
    from srspace.data.datasets import prepare as make

    with named_progress(quiet=quiet) as report:
        made = make(source, target, scale=scale, progress=lambda share: report(f"{source}", share))
    typer.echo(f"{target} ({len(made)} pairs)")
