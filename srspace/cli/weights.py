"""``srspace weights``: what there is, where it came from, converting published files, averaging trained ones."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from srspace.cli.failures import EXIT_WEIGHTS
from srspace.cli.output import message, print_json
from srspace.errors import UsageError

app = typer.Typer(no_args_is_help=True, help="List, fetch, check, convert, average and publish weights.")
Json = Annotated[bool, typer.Option("--json", help="JSON on stdout.")]


@app.command("list")
def list_(as_json: Json = False) -> None:
    """List the catalogue."""
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
def info(name: str, as_json: Json = False) -> None:
    """Show one entry."""
    from srspace.hub import find_entry

    entry = find_entry(name)
    record = asdict(entry) | {"bundled": entry.bundled}
    if as_json:
        print_json(record)
        return
    for key, value in record.items():
        typer.echo(f"{key}: {', '.join(f['path'] for f in value) if key == 'files' else value}")


@app.command()
def pull(name: str) -> None:
    """Fetch weights and check them; prints their folder."""
    from srspace.hub import pull as fetch

    typer.echo(str(fetch(name, check=True)))


@app.command()
def verify(name: Annotated[str | None, typer.Argument(help="An entry; without it, all bundled ones.")] = None) -> int:
    """Compare weights with the catalogue's checksums; what is not in the box is fetched first."""
    from srspace.hub import find_entry, load_catalog, verify_folder, weights_root
    from srspace.hub import pull as fetch

    entries = [find_entry(name)] if name else [e for e in load_catalog().values() if e.repo is None or e.bundled]
    checks = []
    for entry in entries:
        in_box = entry.bundled or entry.repo is None
        checks += verify_folder(weights_root() / entry.name if in_box else fetch(entry.name), entry)
    for check in checks:
        typer.echo(f"{check.path}: {check.problem or 'ok'}")
    return EXIT_WEIGHTS if any(check.problem for check in checks) else 0


@app.command()
def convert(
    source: Annotated[Path, typer.Argument(help="A published .pth or .safetensors file.")],
    out_dir: Annotated[Path, typer.Argument(help="Folder to write.")],
    config: Annotated[
        Path | None, typer.Option("--config", help='JSON with what cannot be inferred: {"stack_blocks": [...]}.')
    ] = None,
    licence: Annotated[str | None, typer.Option("--license", help="Licence under which you hold the weights.")] = None,
) -> None:
    """Convert a published checkpoint; sizes are inferred from its keys and shapes."""
    overrides: dict[str, Any] = {}
    if config is not None:
        try:
            overrides = json.loads(config.read_text(encoding="utf-8"))
        except OSError as error:
            raise UsageError(f"{config} cannot be read: {error.strerror}.") from error
        except ValueError as error:
            raise UsageError(f"{config} is not valid JSON.") from error
        if not isinstance(overrides, dict):
            raise UsageError(f"{config} does not hold a JSON object.")
    from srspace.checkpoints import convert as convert_checkpoint

    report = convert_checkpoint(source, out_dir, overrides=overrides, licence=licence)
    for note in report.notes:
        message(note)
    typer.echo(str(report.out_dir))


@app.command()
def average(
    sources: Annotated[list[str], typer.Argument(help="Models of one kind and size: catalogue names, folders, hf://.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write.")],
    share: Annotated[
        list[float] | None, typer.Option("--share", help="Weight of a model, one for each of them [equal].")
    ] = None,
) -> None:
    """Average the weights of models trained on from the same start; prints the folder written."""
    from srspace.checkpoints import average as average_checkpoints
    from srspace.hub import resolve_weights

    average_checkpoints([resolve_weights(source) for source in sources], out, shares=share)
    typer.echo(str(out))


@app.command()
def pack(
    source: Annotated[str, typer.Argument(help="A model: catalogue name, folder, hf://.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write.")],
) -> None:
    """Store a model's weights in 10 bits, 0.63 times the size of float16; prints the folder written."""
    from srspace.checkpoints import pack_model
    from srspace.hub import resolve_weights

    pack_model(resolve_weights(source), out)
    typer.echo(str(out))


@app.command()
def push(
    folder: Path,
    repo: Annotated[str, typer.Argument(help="owner/name on the Hub.")],
    private: Annotated[bool, typer.Option("--private", help="Create it as a private repository.")] = False,
) -> None:
    """Publish a model folder; prints the revision to pin in weights/catalog.toml."""
    from srspace.hub import push as upload

    typer.echo(upload(folder, repo, private=private))
