"""Assembly of the command line; errors become one sentence and an exit code, here and nowhere else."""

from __future__ import annotations

import os
import sys
import traceback
from typing import Annotated

import click
import typer

from srspace import __version__
from srspace.cli import bench, bench_speed, data, train, upscale, weights
from srspace.errors import EXIT_USAGE, SRSpaceError

EXIT_INTERRUPTED = 130
EXIT_UNEXPECTED = 70

app = typer.Typer(
    name="srspace",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Super-resolution that samples the space of plausible pictures and collapses it where you want.",
    epilog="Exit codes: 0 all done, 1 some failed, 2 bad usage, 3 weights unusable, 130 interrupted.",
)
app.command()(upscale.upscale)
app.add_typer(weights.app, name="weights")
app.add_typer(train.app, name="train")
bench.app.command("speed")(bench_speed.speed)
app.add_typer(bench.app, name="bench")
app.add_typer(data.app, name="data")


def _version(value: bool) -> None:
    if value:
        typer.echo(f"srspace {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.", envvar="SRSPACE_DEBUG")] = False,
) -> None:
    if debug:
        os.environ["SRSPACE_DEBUG"] = "1"


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code.

    Args:
        arguments: without the program's name (None: ``sys.argv``).
    """
    try:
        code = app(args=arguments, standalone_mode=False)
        if code == EXIT_INTERRUPTED:  # Typer turns Ctrl-C into this code and says nothing
            raise KeyboardInterrupt
        return code if isinstance(code, int) else 0
    except SRSpaceError as error:
        return _say(str(error), error.exit_code)
    except click.exceptions.Exit as error:
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return _say("interrupted; nothing is half-written.", EXIT_INTERRUPTED)
    except Exception as error:
        shown = getattr(error, "format_message", None)
        if shown is not None:  # Typer may carry its own copy of click's UsageError
            show = getattr(error, "show", None)
            if show is not None and shown():
                show()
            return EXIT_USAGE
        if isinstance(error, BrokenPipeError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 1
        return _say(f"unexpected {type(error).__name__}: {error} (run again with --debug).", EXIT_UNEXPECTED)


def _say(message: str, code: int) -> int:
    if os.environ.get("SRSPACE_DEBUG"):
        traceback.print_exc()
    print(f"srspace: {message}", file=sys.stderr)
    return code
