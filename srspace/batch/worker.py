"""A process that upscales a part of a run's pictures: ``python -m srspace.batch.worker``, one of several.

It is given its task by standard input, and tells the outcomes by standard output. A byte more on standard input asks
it to end soon: at once while it loads the weights. Where that is closed, nobody is there any more, and it ends at once.
"""

from __future__ import annotations

import os
import pickle
import sys
import threading
from collections.abc import Sequence
from typing import BinaryIO

from srspace.batch.pipeline import Run
from srspace.batch.sending import Task, pickled
from srspace.batch.workshop import Workshop
from srspace.errors import SRSpaceError


def main() -> None:
    """Carry out the task; the list of an outcome for each picture, or of an error, and at the end an empty one."""
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever else is printed
    inbox = sys.stdin.buffer
    try:
        task: Task = pickle.load(inbox)
        begun: list[Run] = []
        threading.Thread(target=_listen, args=(inbox, begun), daemon=True).start()
        begun.append(Workshop(task.settings).run_part(task.part, task.recorded))
        for outcome in begun[0]:
            _send(out, pickled([outcome]))
    except SRSpaceError as error:
        _send(out, pickle.dumps([error]))
    _send(out, pickle.dumps([]))
    os._exit(0)  # the thread that listens holds standard input, which would be closed in good order


def _send(out: BinaryIO, data: bytes) -> None:
    out.write(data)
    out.flush()


def _listen(inbox: BinaryIO, begun: Sequence[Run]) -> None:
    while inbox.read(1):
        if not begun:
            os._exit(0)
        begun[0].stop()
    os._exit(1)


if __name__ == "__main__":
    main()
