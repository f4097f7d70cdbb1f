"""Programs that read pictures and have no code in common with this one; a test is skipped where one is missing.

On Debian: ``apt-get install libimage-exiftool-perl imagemagick libavif-bin netpbm``.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

_MAGICK = ("/usr/bin/identify-im6.q16", "/usr/bin/identify", "identify")


def exiftool(path: Path) -> dict[str, object]:
    """All that exiftool tells, by ``Group:Name``."""
    shown = _run("exiftool", "-j", "-G1", "-a", path)
    return dict(json.loads(shown)[0])


def avifdec(path: Path) -> dict[str, str]:
    """What libavif tells about a file."""
    lines = _run("avifdec", "-i", path).decode().splitlines()
    return dict(re.findall(r"\* ([^:]+?)\s*: (.*)", "\n".join(lines)))


def netpbm(path: Path, *options: str) -> np.ndarray:
    """Samples ``(H, W, C)`` from 0 to 1 of a PNG."""
    return _pam(_run("pngtopam", *options, path))


def magick(path: Path, format: str) -> str:
    """What ImageMagick's identify tells, such as ``%[channels] %z``."""
    program = next((name for name in _MAGICK if shutil.which(name)), None)
    if program is None:
        pytest.skip("ImageMagick is not installed")
    return _run(program, "-format", format, path).decode()


def magick_samples(path: Path, kind: str = "RGBA") -> np.ndarray:
    """Samples ``(H, W, C)`` from 0 to 1, as ImageMagick reads them."""
    width, height = map(int, magick(path, "%w %h\n").split()[:2])
    program = next((name for name in ("/usr/bin/convert-im6.q16", "convert") if shutil.which(name)), None)
    if program is None:
        pytest.skip("ImageMagick is not installed")
    data = _run(program, f"{path}[0]", "-depth", "16", f"{kind}:-")
    return np.frombuffer(data, np.uint16).reshape(height, width, len(kind)) / 65535


def _run(program: str, *arguments: object) -> bytes:
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    done = subprocess.run([program, *map(os.fspath, map(str, arguments))], capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def _pam(data: bytes) -> np.ndarray:
    """PNM and PAM, as pngtopam writes them."""
    if data[:2] == b"P7":
        head, _, body = data.partition(b"ENDHDR\n")
        told = dict(line.split(maxsplit=1) for line in head.decode().splitlines()[1:])
        width, height, depth, top = (int(told[name]) for name in ("WIDTH", "HEIGHT", "DEPTH", "MAXVAL"))
    else:
        match = re.match(rb"P([456])\s+(\d+)\s+(\d+)\s+(?:(\d+)\s)?", data)
        assert match is not None
        kind, width, height = int(match[1]), int(match[2]), int(match[3])
        if kind == 4:
            body = data[match.end() if match[4] is None else match.start(4) :]
            rows = np.frombuffer(body, np.uint8).reshape(height, -1)
            return 1.0 - np.unpackbits(rows, axis=1)[:, :width, None]
        depth, top, body = (3 if kind == 6 else 1), int(match[4]), data[match.end() :]
    samples = np.frombuffer(body, ">u2" if top > 255 else np.uint8, width * height * depth)
    return samples.reshape(height, width, depth) / top
