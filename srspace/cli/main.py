"""Assembly of the command line; errors become one sentence and an exit code, here and nowhere else."""

from __future__ import annotations

import os
import sys
from functools import cache
from typing import Annotated, Any

import click
import typer
from typer.main import get_command

from srspace import __version__
from srspace.cli import bench, data, doctor, explore, output, serve, train, upscale, weights
from srspace.cli.commands import App
from srspace.cli.failures import (
    EXIT_FAILED,
    EXIT_INTERRUPTED,
    EXIT_OK,
    EXIT_UNEXPECTED,
    EXIT_USAGE,
    exit_code,
    in_words,
)
from srspace.cli.interruption import InterruptedRunError
from srspace.errors import SRSpaceError
from srspace.streams import abandon_standard_output

app = App(
    name="srspace",
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Super-resolution that samples the space of plausible pictures and collapses it where you want.",
    epilog="Exit codes: 0 all done; 1 some pictures failed; 2 bad usage; 3 weights missing, damaged or unreachable; "
    "70 a bug in srspace; 130 interrupted; 143 ended by SIGTERM.",
)
app.command("upscale", epilog=upscale.epilog())(upscale.upscale)
app.command("explore")(explore.explore)
app.command("serve")(serve.serve)
app.add_typer(bench.app, name="bench")
app.add_typer(train.app, name="train")
app.add_typer(weights.app, name="weights")
app.add_typer(data.app, name="data")
app.command("doctor")(doctor.doctor)


def _version(value: bool) -> None:
    if value:
        typer.echo(f"srspace {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show tracebacks; may stand anywhere. SRSPACE_DEBUG=1 does the same.")
    ] = False,
) -> None:
    pass  # main() takes --debug out of the arguments, wherever it stands


@cache
def command() -> Any:
    """The tree of commands, built once for all runs of a process."""
    return get_command(app)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code.

    Args:
        arguments: without the program's name (None: ``sys.argv``).
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    options = arguments[: arguments.index("--")] if "--" in arguments else arguments
    output.debug = "--debug" in options or os.environ.get("SRSPACE_DEBUG", "0").lower() not in ("", "0", "false", "no")
    arguments = [a for a in options if a != "--debug"] + arguments[len(options) :]
    try:
        code = command().main(args=arguments, standalone_mode=False)
        if code == EXIT_INTERRUPTED:  # Typer has caught the KeyboardInterrupt
            raise KeyboardInterrupt
        return code if isinstance(code, int) else EXIT_OK
    except SRSpaceError as error:
        output.complain(in_words(error), error)
        return exit_code(error)
    except InterruptedRunError as error:
        output.complain(str(error), error)
        return error.exit_code
    except click.exceptions.Exit as error:
        return error.exit_code
    except (click.Abort, typer.Abort, KeyboardInterrupt) as error:
        output.complain("interrupted; nothing is half-written.", error)
        return EXIT_INTERRUPTED
    except Exception as error:
        shown = getattr(error, "format_message", None)
        if shown is not None:  # Typer may carry its own copy of click's UsageError
            show = getattr(error, "show", None)
            if show is not None and shown():
                show()
            return EXIT_USAGE
        if isinstance(error, BrokenPipeError):
            abandon_standard_output()
            return EXIT_FAILED
        output.complain(output.unexpected(error), error)
        return EXIT_UNEXPECTED
