"""Real processes that run the command line without importing everything anew.

Importing takes most of the time of a small run. Here one process imports, and every run is forked off it, with its own
descriptors, environment, folder and limits. What depends on how things are imported starts an interpreter instead.
"""

from __future__ import annotations

import atexit
import os
import pickle
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import IO, Any, NoReturn

ROOT = Path(__file__).parents[1]
WITH_THIS_TREE = {"PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))}
"""What makes an interpreter import this tree's package, and what was importable before."""

_INHERITED = "SRSPACE_TEST_SERVER"  # names a descriptor of the process that forks
MODULES = ("srspace.cli.main", "srspace.batch.engine", "srspace.upscaler", "srspace.auto", "srspace.images")


@dataclass(frozen=True)
class Request:
    """What a process is started with, besides its standard streams and the pipe for its end."""

    arguments: tuple[str, ...]
    environment: dict[str, str]
    folder: str
    limits: dict[int, int] = field(default_factory=dict)


class Process:
    """A running command line.

    Attributes:
        pid: of the process.
        stdin, stdout, stderr: the other ends of its standard streams, where none were given.
    """

    def __init__(self, request: Request, stdin: Any, stdout: Any, stderr: Any) -> None:
        given, theirs, self._files = (stdin, stdout, stderr), [], []
        for number, stream in enumerate(given):
            if stream is not None:
                theirs.append(stream if isinstance(stream, int) else stream.fileno())
                self._files.append(None)
                continue
            reading, writing = os.pipe()
            theirs.append(writing if number else reading)
            self._files.append(os.fdopen(reading if number else writing, "rb" if number else "wb"))
        self.stdin, self.stdout, self.stderr = self._files
        status, telling = os.pipe()
        self._status = os.fdopen(status, "rb", 0)
        connection = _server()
        data = pickle.dumps(request)
        socket.send_fds(connection, [len(data).to_bytes(4, "big")], [*theirs, telling])
        connection.sendall(data)
        for descriptor in [*(d for d, stream in zip(theirs, given, strict=True) if stream is None), telling]:
            os.close(descriptor)
        self.pid = int.from_bytes(self._status.read(4), "big")
        self.returncode: int | None = None

    def wait(self) -> int:
        """The exit code, negative the signal that ended it."""
        if self.returncode is None:
            self.returncode = os.waitstatus_to_exitcode(int.from_bytes(self._status.read(4), "big"))
            self._status.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def communicate(self, data: bytes = b"") -> tuple[bytes, bytes]:
        """Hand it its input; what it wrote, once it has ended."""

        def feed() -> None:
            if self.stdin is not None:
                try:
                    self.stdin.write(data)
                    self.stdin.close()
                except BrokenPipeError:
                    pass

        def read(file: IO[bytes] | None) -> bytes:
            return b"" if file is None else file.read()

        with ThreadPoolExecutor(2) as pool:
            fed, errors = pool.submit(feed), pool.submit(read, self.stderr)
            printed = read(self.stdout)
            fed.result()
        self.wait()
        for file in self._files:
            if file is not None and not file.closed:
                file.close()
        return printed, errors.result()


def start(
    *arguments: object,
    stdin: Any = None,
    stdout: Any = None,
    stderr: Any = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    limits: Mapping[int, int] | None = None,
) -> Process:
    """Start ``srspace ARGUMENTS``.

    Args:
        arguments: of the command line.
        stdin: a file or descriptor; a pipe without one. Likewise ``stdout`` and ``stderr``.
        env: the environment, this process's by default. What is read at import has been read already.
        cwd: the folder it runs in.
        limits: soft and hard limits by their numbers in ``resource``.
    """
    environment = dict(os.environ if env is None else env)
    request = Request(tuple(map(str, arguments)), environment, str(cwd or Path.cwd()), dict(limits or {}))
    return Process(request, stdin, stdout, stderr)


def run(*arguments: object, input: bytes = b"", **settings: Any) -> subprocess.CompletedProcess[bytes]:
    """Run ``srspace ARGUMENTS`` to its end; like :func:`start`, with what it reads from standard input."""
    process = start(*arguments, **settings)
    printed, errors = process.communicate(input)
    return subprocess.CompletedProcess(arguments, process.wait(), printed, errors)


def wait_until(true: Callable[[], object], seconds: float = 60) -> None:
    """Wait for something that another process does; fails when it takes too long."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.005)


def run_script(script: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a script in bash whose runs of ``srspace`` are forked off like all others, one at a time.

    Args:
        script: what bash runs; it stops at the first command that fails.
        cwd: the folder it runs in, in which a folder ``bin`` is made.
    """
    code = "from tests.processes import start; exit(start(*sys.argv[1:], stdin=0, stdout=1, stderr=2).wait())"
    program = cwd / "bin" / "srspace"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\nexec '{sys.executable}' -c 'import sys; {code}' \"$@\"\n")
    program.chmod(0o755)
    server = _server().fileno()
    path = f"{program.parent}:{os.environ['PATH']}"
    environment = os.environ | {_INHERITED: str(server), "PATH": path} | WITH_THIS_TREE
    command = ["bash", "-euo", "pipefail", "-c", script]
    return subprocess.run(
        command, cwd=cwd, env=environment, pass_fds=[server], capture_output=True, text=True, check=False
    )


@cache
def _server() -> socket.socket:
    if _INHERITED in os.environ:
        return socket.socket(fileno=int(os.environ[_INHERITED]))
    ours, theirs = socket.socketpair()
    environment = os.environ | WITH_THIS_TREE
    command = [sys.executable, "-m", "tests.processes", str(theirs.fileno())]
    server = subprocess.Popen(command, pass_fds=[theirs.fileno()], env=environment)
    theirs.close()
    atexit.register(server.wait)
    atexit.register(ours.close)
    return ours


def _serve(connection: socket.socket) -> None:
    """Fork a process for every request; returns in each of them, ready to run the command line."""
    import contextlib
    import gc
    import importlib
    import io

    for name in MODULES:
        importlib.import_module(name)
    with contextlib.redirect_stderr(io.StringIO()):  # what is made or imported when the first arguments are read
        importlib.import_module("srspace.cli.main").main(["upscale"])
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # those who wait for the runs are waited for by nobody
    while True:
        head, descriptors, *_ = socket.recv_fds(connection, 4, 4)
        if not head:
            os._exit(0)
        size, data = int.from_bytes(head, "big"), b""
        while len(data) < size:
            data += connection.recv(size - len(data))
        if os.fork() == 0:
            connection.close()
            return _become(pickle.loads(data), descriptors)
        for descriptor in descriptors:
            os.close(descriptor)


def _become(request: Request, descriptors: Iterable[int]) -> None:
    *streams, telling = descriptors
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    pid = os.fork()
    if pid:
        _report(pid, streams, telling)
    os.close(telling)
    for number, descriptor in enumerate(streams):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.environ.clear()
    os.environ.update(request.environment)
    os.chdir(request.folder)
    for kind, limit in request.limits.items():
        resource.setrlimit(kind, (limit, limit))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv = ["srspace", *request.arguments]


def _report(pid: int, streams: list[int], telling: int) -> NoReturn:
    for descriptor in (0, 1, 2, *streams):
        os.close(descriptor)
    os.write(telling, pid.to_bytes(4, "big"))
    _, status = os.waitpid(pid, 0)
    os.write(telling, status.to_bytes(4, "big"))
    os._exit(0)


if __name__ == "__main__":
    _serve(socket.socket(fileno=int(sys.argv[1])))
    from srspace.__main__ import run as run_command_line

    run_command_line()
