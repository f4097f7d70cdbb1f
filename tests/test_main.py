from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.pictures import picture

INTERRUPTED = ["srspace: interrupted; nothing is half-written."]


def start(source: Path, weights: Path, *, before: Callable[[], object]) -> subprocess.Popen[str]:
    """``srspace upscale``, telling on stderr of every module that it has imported."""
    arguments = ["upscale", source, "-w", weights, "-n", "100000"]
    command = [sys.executable, "-X", "importtime", "-m", "srspace", *map(str, arguments)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=before)


@pytest.mark.parametrize(
    "moment",
    ["click", "srspace.cli.main", "numpy", "torch._C", "torch.nn"],
)
def test_an_interruption_is_one_line_while_imports_are_under_way(tmp_path: Path, tiny: Path, moment: str):
    process = start(
        picture(tmp_path / "a.png", (64, 64)), tiny / "x4",
        before=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background jobs ignore it
    )  # fmt: skip
    printed = []
    for line in process.stderr:
        if not line.startswith("import time:"):
            printed.append(line.rstrip("\n"))
        elif line.split("|")[-1].strip() == moment:
            process.send_signal(signal.SIGINT)
    assert process.wait() == 130 and printed == INTERRUPTED
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]


def test_who_ignores_interruptions_goes_on(tmp_path: Path):
    process = start(tmp_path / "missing.png", Path("any"), before=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN))
    for line in process.stderr:
        if line.split("|")[-1].strip() in ("click", "typer", "srspace.cli.main"):
            process.send_signal(signal.SIGINT)
    assert process.wait() == 2


@pytest.mark.skipif(os.name != "posix", reason="needs signals")
def test_a_finished_command_is_not_told_to_be_interrupted():
    done = subprocess.run([sys.executable, "-m", "srspace", "--version"], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
