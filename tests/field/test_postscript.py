"""PostScript under the name of a picture."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.processes import run

FILE = Path(__file__).parent / "files" / "postscript_named.png"


@pytest.mark.parametrize("arguments", [["-o", "-"], ["--json", "-o", "OUT"]])
def test_postscript_starts_nothing(tmp_path: Path, arguments: list[str]):
    trace = tmp_path / "trace"
    for program in ("gs", "gswin32c", "gswin64c", "gsc"):
        fake = tmp_path / "bin" / program
        fake.parent.mkdir(exist_ok=True)
        fake.write_text(f"#!/bin/sh\necho ran >> {trace}\necho GPL Ghostscript\n")
        fake.chmod(0o755)
    environment = os.environ | {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"}
    rest = [tmp_path / "out.png" if a == "OUT" else a for a in arguments]
    done = run("upscale", "-m", "rrdb", FILE, *rest, env=environment)
    assert done.returncode == 1 and not trace.exists() and not (tmp_path / "out.png").exists()
    if "--json" in arguments:
        assert [json.loads(line)["status"] for line in done.stdout.splitlines()] == ["failed"]
    else:
        assert done.stdout == b"" and b"PostScript" in done.stderr
