"""The service as a process: where it listens, and how it stops."""

from __future__ import annotations

import io
import os
import re
import signal
import socket
import threading
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from srspace.cli.main import main
from srspace.errors import TokenError, UsageError
from srspace.serve import ServeSettings
from tests import processes
from tests.pictures import encoded


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_told_to_stop_it_finishes_the_picture_at_work_and_takes_no_other(tiny: Path, number: int):
    arguments = ["serve", "--port", "0", "--weights", tiny / "x4", "--device", "cpu"]
    process = processes.start(*arguments, stdin=os.open(os.devnull, os.O_RDONLY))
    address = re.search(rb"listening on (http://\S+);", process.stderr.readline())[1].decode()
    noise = np.random.default_rng(0).integers(90, 160, (64, 64, 3), np.uint8)
    answers: list[bytes] = []

    def ask() -> None:
        url = f"{address}/upscale?mode=mean&samples=25"
        with urllib.request.urlopen(url, data=encoded(Image.fromarray(noise)), timeout=60) as answer:
            answers.append(answer.read())

    def accepted() -> bool:
        with urllib.request.urlopen(f"{address}/health", timeout=10) as answer:
            return b'"accepted":1' in answer.read()

    asking = threading.Thread(target=ask)
    asking.start()
    processes.wait_until(accepted)
    process.send_signal(number)
    asking.join()
    assert Image.open(io.BytesIO(answers[0])).size == (256, 256)
    assert process.wait() == 0
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(f"{address}/health", timeout=5)


def test_an_address_that_is_taken_is_told_before_weights_are_loaded(capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["serve", "--port", str(port), "--weights", "there-are-none"]) == 1
    assert capsys.readouterr().err == f"srspace: 127.0.0.1:{port} cannot be listened on: Address already in use.\n"


def test_a_service_for_others_takes_a_token(capsys, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("SRSPACE_TOKEN", raising=False)
    assert main(["serve", "--host", "0.0.0.0"]) == 2
    assert "takes a token. Set one with SRSPACE_TOKEN or --token." in capsys.readouterr().err
    for host in ("0.0.0.0", "::", "192.168.1.2", "example.org"):
        with pytest.raises(TokenError):
            ServeSettings(host=host)
        assert not ServeSettings(host=host, token="long enough").local
    for host in ("127.0.0.1", "127.8.9.1", "::1", "localhost"):
        assert ServeSettings(host=host).local


def test_options_become_settings(monkeypatch: pytest.MonkeyPatch):
    seen: list[ServeSettings] = []
    monkeypatch.setattr("srspace.serve.run", lambda settings, listening: seen.append(settings))
    monkeypatch.setenv("SRSPACE_TOKEN", "from outside")
    assert main(["serve", "--host", "0.0.0.0", "--max-upload", "2M", "--max-megapixels", "0.5", "--queue", "4"]) == 0
    assert seen == [
        ServeSettings(host="0.0.0.0", token="from outside", max_upload=2 * 2**20, max_pixels=500_000, queue=4)
    ]


@pytest.mark.parametrize(
    "changes", [{"port": 70000}, {"queue": 0}, {"timeout": -1.0}, {"token": "short"}, {"timeout": float("nan")}]
)
def test_settings_out_of_range_are_refused(changes: dict):
    with pytest.raises(UsageError):
        ServeSettings(**changes)
