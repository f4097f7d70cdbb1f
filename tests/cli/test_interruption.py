"""Signals that reach a command while it works on pictures."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from srspace.batch import engine
from srspace.cli.main import main
from srspace.upscaler import Upscaler
from tests.pictures import picture

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs signals")


@pytest.fixture(autouse=True)
def usual_handlers() -> Iterator[None]:
    """A shell's background jobs ignore SIGINT."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler, "put back"
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for index in range(6):
        picture(tmp_path / "in" / f"{index}.png", (8 + index, 6), seed=index)
    return tmp_path / "in"


def interrupting(monkeypatch: pytest.MonkeyPatch, number: int, stage: type = engine.Writer) -> None:
    """Have the first picture that comes to a stage interrupt the process."""
    whole, sent = stage.__call__, []

    def call(self, *given):
        if not sent:
            sent.append(number)
            signal.pthread_kill(threading.main_thread().ident, number)
            time.sleep(0.1)
        return whole(self, *given)

    monkeypatch.setattr(stage, "__call__", call)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_first_signal_finishes_what_is_written_and_says_what_is_left(
    folder: Path, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys, number: int, code: int
):
    interrupting(monkeypatch, number)
    arguments = ["upscale", str(folder), "-w", str(tiny / "x4"), "-m", "rrdb", "-o", str(tmp_path / "out")]
    arguments += ["--jsonl", str(tmp_path / "r.jsonl")]
    assert main(arguments) == code
    lines = capsys.readouterr().err.splitlines()
    done = len(list((tmp_path / "out").glob("*_x4.png")))
    assert 1 <= done < 6 and len(list((tmp_path / "out").iterdir())) == done
    assert any("interrupt again to end at once" in line for line in lines)
    assert lines[-1] == (
        f"srspace: interrupted; nothing is half-written. {6 - done} of 6 pictures are left; "
        "the same command goes on with them."
    )
    assert f"{done} done, {6 - done} not begun" in lines[-2]
    assert main([*arguments, "--json"]) == 0
    statuses = [json.loads(line)["status"] for line in capsys.readouterr().out.splitlines()]
    assert statuses.count("kept") == done and statuses.count("done") == 6 - done
    records = [json.loads(line) for line in (tmp_path / "r.jsonl").read_text().splitlines()]
    assert sorted(Path(r["input"]).stem for r in records if r["status"] == "done") == list("012345")


def test_a_single_picture_is_given_up_at_once(
    folder: Path, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
):
    goes_on = threading.Event()

    def endless(self, *given, **named):
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        goes_on.wait(60)
        raise ZeroDivisionError

    monkeypatch.setattr(Upscaler, "upscale", endless)
    start = time.monotonic()
    try:
        assert main(["upscale", str(folder / "0.png"), "-w", str(tiny / "x4"), "-m", "rrdb"]) == 130
        assert time.monotonic() - start < 30, "what is being computed is not waited for"
    finally:
        goes_on.set()
    assert capsys.readouterr().err.splitlines() == ["srspace: interrupted; nothing is half-written."]
    assert not list(folder.glob("*_x4.png")) and not list(folder.glob(".*"))


def test_a_watch_ends_with_an_interruption_as_if_nothing_was_wrong(
    folder: Path, tiny: Path, tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch
):
    def interrupt() -> None:
        deadline = time.monotonic() + 30
        while len(list((tmp_path / "done").glob("*"))) < 6 and time.monotonic() < deadline:
            time.sleep(0.02)
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    arguments = ["upscale", str(folder), "-w", str(tiny / "x4"), "-m", "rrdb", "-o", str(tmp_path / "out")]
    assert main([*arguments, "--watch", "--done", str(tmp_path / "done")]) == 0
    thread.join()
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("watching") and lines[-1].startswith("6 files: 6 done;")
    assert len(list((tmp_path / "out").iterdir())) == 6 and not list(folder.iterdir())
    assert main([*arguments, "--done", str(tmp_path / "done")]) == 2


def test_the_second_signal_ends_at_once(folder: Path, tiny: Path, tmp_path: Path):
    code = """
import signal, sys, threading, time
from srspace.batch import engine
from srspace.cli.main import main
from srspace.upscaler import Upscaler
def stuck(self, computed):
    for _ in range(2):
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        time.sleep(0.5)
    time.sleep(300)
engine.Writer.__call__ = stuck
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.exit(main(sys.argv[1:]))
"""
    arguments = ["upscale", folder, "-w", tiny / "x4", "-m", "rrdb", "-o", tmp_path / "out"]
    command = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 130, done.stderr
    assert done.stderr.splitlines()[-1] == "srspace: ended at once; nothing is half-written."
    assert list((tmp_path / "out").iterdir()) == []
