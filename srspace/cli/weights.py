"""``srspace weights``: what there is, where it came from, converting published files, changing trained ones."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from srspace.cli import completion, options
from srspace.cli.commands import App
from srspace.cli.failures import EXIT_OK, EXIT_WEIGHTS
from srspace.cli.options import IO, argument, flag, option
from srspace.cli.output import message, named_progress, print_json

app = App(help="List, fetch, check, convert, average, pack, narrow, refit and publish weights.")

SOURCE = "a name of 'srspace weights list', a folder, or hf://owner/repo[@revision]"
Name = Annotated[str, argument("NAME", help="A name of 'srspace weights list'.", autocompletion=completion.weights())]

Photographs = Annotated[Path, option("--data", panel=IO, metavar="DIR", help="Folder of photographs to fit layers on.")]
Count = Annotated[int, option("--count", panel=IO, metavar="N", help="How many photographs.", min=1)]


@app.command("list")
def list_(as_json: options.AsJson = False) -> None:
    """List the weights known by name."""
    from rich import box
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Column, Table

    from srspace.hub import load_catalog

    entries = list(load_catalog().values())
    if as_json:
        for entry in entries:
            print_json(asdict(entry) | {"bundled": entry.bundled})
        return
    table = Table(Column("name", no_wrap=True), "kind", "scale", "size", "licence", "where", box=box.SIMPLE)
    for entry in entries:
        size = sum(f.size for f in entry.files) / 1e6
        where = "bundled" if entry.bundled else entry.repo or "missing"
        cells = (entry.name, entry.kind, f"{entry.scale}x", f"{size:.1f} MB", entry.licence, where)
        table.add_row(*map(escape, cells))
    Console().print(table)


@app.command()
def info(name: Name, as_json: options.AsJson = False) -> None:
    """Show what is known of weights: what they are for, their licence, their training data."""
    from srspace.hub import find_entry

    entry = find_entry(name)
    record = asdict(entry) | {"bundled": entry.bundled}
    if as_json:
        print_json(record)
        return
    for key, value in record.items():
        typer.echo(f"{key}: {', '.join(f['path'] for f in value) if key == 'files' else value}")


@app.command()
def pull(name: Name) -> None:
    """Fetch weights, check them, and print their folder."""
    from srspace.hub import pull as fetch

    typer.echo(str(fetch(name)))


@app.command()
def verify(
    name: Annotated[
        str | None,
        argument(
            "NAME", autocompletion=completion.weights(),
            help="A name of 'srspace weights list'; without it, all weights in the box.",
        ),
    ] = None,
) -> int:  # fmt: skip
    """Compare weights with the catalogue's checksums, fetching them first if necessary."""
    from srspace.hub import find_entry, load_catalog, verify_folder, weights_root
    from srspace.hub import pull as fetch

    entries = [find_entry(name)] if name else [e for e in load_catalog().values() if e.repo is None or e.bundled]
    checks = []
    for entry in entries:
        in_box = entry.bundled or entry.repo is None
        checks += verify_folder(weights_root() / entry.name if in_box else fetch(entry.name), entry)
    for check in checks:
        typer.echo(f"{check.path}: {check.problem or 'ok'}")
    return EXIT_WEIGHTS if any(check.problem for check in checks) else EXIT_OK


@app.command()
def convert(
    source: Annotated[Path, argument("SOURCE", help="A published .pth or .safetensors file.")],
    out_dir: Annotated[Path, argument("OUT_DIR", help="Folder to write.")],
    config: Annotated[
        Path | None,
        option(
            "--config", panel=IO, metavar="FILE",
            help="JSON or TOML file with what cannot be inferred, such as stack_blocks = [1, 3, 5, 7].",
        ),
    ] = None,
    licence: Annotated[
        str | None,
        option("--license", panel=IO, metavar="TEXT", help="Licence under which you have the weights."),
    ] = None,
) -> None:  # fmt: skip
    """Convert a published SRFlow-DA, RRDB or ESRGAN checkpoint. Sizes are inferred from its keys and shapes."""
    from srspace.fields import read_table

    overrides = {} if config is None else read_table(config)
    from srspace.checkpoints import convert as convert_checkpoint

    report = convert_checkpoint(source, out_dir, overrides=overrides, licence=licence)
    for note in report.notes:
        message(note)
    typer.echo(str(report.out_dir))


@app.command()
def average(
    sources: Annotated[
        list[str],
        argument(
            "SOURCE", autocompletion=completion.weights(), help=f"Two or more models of one kind and size: {SOURCE}."
        ),
    ],
    out: options.Out,
    share: Annotated[
        list[float] | None,
        option(
            "--share", panel=IO, metavar="NUMBER", help="Share of a model in the average, given once for each.",
            default="equal shares",
        ),
    ] = None,
) -> None:  # fmt: skip
    """Average the weights of models that were trained on from the same ones, and print the folder."""
    from srspace.checkpoints import average as average_checkpoints
    from srspace.hub import resolve_weights

    average_checkpoints([resolve_weights(source) for source in sources], out, shares=share)
    typer.echo(str(out))


@app.command()
def pack(
    source: Annotated[str, argument("SOURCE", help=f"A model: {SOURCE}.", autocompletion=completion.weights())],
    out: options.Out,
) -> None:
    """Store weights in 10 bits, at 0.63 times the size of float16, and print the folder."""
    from srspace.checkpoints import pack_model
    from srspace.hub import resolve_weights

    pack_model(resolve_weights(source), out)
    typer.echo(str(out))


@app.command()
def narrow(
    source: Annotated[str, argument("SOURCE", help=f"A flow: {SOURCE}.", autocompletion=completion.weights("flow"))],
    stack_block: Annotated[
        list[int],
        option("--stack-block", panel=IO, metavar="N", help="A block of the encoder to keep; give it for each."),
    ],
    data: Photographs,
    out: options.Out,
    count: Count = 64,
    quiet: options.NoProgress = False,
) -> None:
    """Let a flow look at fewer blocks of its encoder, which is faster, and print the folder."""
    from srspace.training.refitting import narrow as narrow_weights

    with named_progress(quiet=quiet) as progress:
        narrow_weights(source, out, stack_block, data, count=count, progress=progress)
    typer.echo(str(out))


@app.command()
def refit(
    source: Annotated[
        str, argument("SOURCE", help=f"A network with a dial: {SOURCE}.", autocompletion=completion.weights())
    ],
    to: Annotated[
        str,
        option(
            "--to", panel=IO, metavar="NAME", autocompletion=completion.weights("flow"),
            help="The flow to fit it to, given like SOURCE.",
        ),
    ],
    data: Photographs,
    out: options.Out,
    weights: Annotated[
        str | None,
        option(
            "--weights", "-w", panel=IO, metavar="NAME", autocompletion=completion.weights("flow"),
            help="The flow that it was trained for, given like SOURCE.", default="the catalogue's",
        ),
    ] = None,
    count: Count = 64,
    quiet: options.NoProgress = False,
) -> None:  # fmt: skip
    """Fit a network with a dial to a flow that was narrowed or trained on, and print the folder."""
    from srspace.training.refitting import refit as refit_weights

    with named_progress(quiet=quiet) as progress:
        refit_weights(source, out, to, data, weights=weights, count=count, progress=progress)
    typer.echo(str(out))


@app.command()
def push(
    folder: Annotated[Path, argument("FOLDER", help="Folder of a model, with its README.md.")],
    repo: Annotated[str, argument("REPO", help="owner/name on the Hugging Face Hub.")],
    private: Annotated[bool, flag("--private", panel=IO, help="Create the repository as a private one.")] = False,
) -> None:
    """Publish a model on the Hub, and print the revision to pin in weights/catalog.toml."""
    from srspace.hub import push as upload

    typer.echo(upload(folder, repo, private=private))
