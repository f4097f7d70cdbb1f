"""``srspace doctor``."""

from __future__ import annotations

from srspace.cli import options
from srspace.cli.failures import EXIT_FAILED, EXIT_OK


def doctor(as_json: options.AsJson = False) -> int:
    """Check the installation: devices, torch, caches, weights, speed and extras.

    The exit code is 1 where a problem was found, and 0 otherwise; warnings and notes stop nothing.
    """
    from srspace.cli.output import print_json
    from srspace.doctor import Level, examine

    problems = 0
    for finding in examine():
        problems += finding.level is Level.PROBLEM
        if as_json:
            print_json(finding.to_json())
        else:
            _print(finding.level, finding.what, finding.text)
    if not as_json:
        _print_verdict(problems)
    return EXIT_FAILED if problems else EXIT_OK


def _print(level: str, what: str, text: str) -> None:
    from rich.console import Console
    from rich.text import Text

    from srspace.cli.output import printable

    style = {"ok": "green", "note": "dim", "warning": "yellow", "problem": "bold red"}[level]
    line = Text.assemble((f"{level:<8}", style), (f"{what}: ", "bold"), printable(text))
    Console(highlight=False).print(line, soft_wrap=True)


def _print_verdict(problems: int) -> None:
    from rich.console import Console

    verdict = "All is well." if not problems else f"{problems} problem{'s' if problems > 1 else ''} found."
    Console(highlight=False).print(verdict, style="bold")
