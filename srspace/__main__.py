"""``python -m srspace`` and the ``srspace`` script."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from typing import Any, NoReturn


def run() -> NoReturn:
    """Run the command line and exit with its code."""
    # An interruption is told in one line from the first moment on, while nothing but imports is under way, too.
    ours = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if ours:
        signal.signal(signal.SIGINT, _stop)
    from srspace.cli.main import main

    try:
        if ours:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        code = main()
    except KeyboardInterrupt:
        _stop()
    if code == 130:  # a thread may be computing still, and the interpreter would wait for it
        with suppress(OSError, ValueError, AttributeError):
            sys.stdout.flush()
        os._exit(code)
    if ours:  # what is left is the interpreter's own end
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.exit(code)


def _stop(*_: Any) -> NoReturn:
    os.write(2, b"srspace: interrupted; nothing is half-written.\n")
    os._exit(130)


if __name__ == "__main__":
    run()
