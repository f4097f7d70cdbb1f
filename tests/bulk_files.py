"""Reads every file below some folders, by hand: ``python -m tests.bulk_files FOLDER...``.

It tells by what sentence how many files were refused and what was said of the others, and compares every PNG with what
netpbm's pngtopam makes of it, sample by sample. Good folders are the test pictures of Pillow's source package and
PngSuite.

pngtopam does not know a transparent colour of RGB; such files are compared without alpha. Nor does it keep to the low
bits of such a value of grey, which makes Pillow's ``1_trns.png`` the one that differs.
"""

from __future__ import annotations

import argparse
import logging
import re
import shutil
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from srspace.errors import SRSpaceError
from srspace.images import Picture
from srspace.images.containers import png
from srspace.images.metadata import gathered
from srspace.images.orientation import upright
from srspace.images.readers import pnm
from srspace.images.readers.png import described
from srspace.images.reading import read_picture

_RGB = 2
_TOLERANCE = 1e-6


@dataclass
class Tally:
    """What became of the files.

    Attributes:
        read: how many were read.
        refusals: files by the sentence that refused them, without what is in brackets.
        said: how often each warning was given.
        alike: PNG files that both programs read alike, or both refuse.
        faults: PNG files read differently, and anything that users must not see.
    """

    read: int = 0
    refusals: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    said: Counter[str] = field(default_factory=Counter)
    alike: int = 0
    faults: list[str] = field(default_factory=list)


def tally(paths: Iterable[Path]) -> Tally:
    """Read files."""
    total = Tally()
    for path in paths:
        data, picture = path.read_bytes(), None
        try:
            picture = read_picture(data, name="it")
            total.read += 1
            total.said.update(picture.warnings)
        except SRSpaceError as error:
            total.refusals[re.sub(r" \(.*\)|\d+", lambda m: "" if m[0].startswith(" ") else "N", str(error))].append(
                path.name
            )
        except Exception as error:
            total.faults.append(f"{path}: {error!r}")
        if data.startswith(png.SIGNATURE):
            fault = difference(data, path, picture)
            total.alike += fault is None
            total.faults += [] if fault is None else [f"{path}: {fault}"]
    return total


def difference(data: bytes, path: Path, picture: Picture | None) -> str | None:
    """How what netpbm reads differs; None where it does not."""
    done = subprocess.run(["pngtopam", "-alphapam", path], capture_output=True, check=False)
    if picture is None or done.returncode or not done.stdout:
        return None if picture is None and (done.returncode or not done.stdout) else "read by one of the two alone"
    other = pnm.read(done.stdout, 10**9)
    chunks = list(png.chunks(data))
    samples = upright(other.samples, gathered(described(chunks, [])[1]).orientation) / np.float64(other.top)
    colours = picture.rgb if samples.shape[2] > 2 else picture.rgb[..., :1]
    alpha = samples[..., -1] if picture.alpha is None else picture.alpha
    one_colour_is_clear = png.image_header(chunks[0]).colour_type == _RGB and any(c.type == b"tRNS" for c in chunks)
    if colours.shape != samples[..., :-1].shape:
        return f"{samples.shape} of netpbm against {colours.shape}"
    far = np.abs(colours - samples[..., :-1]).max()
    if not one_colour_is_clear:
        far = max(far, np.abs(alpha - samples[..., -1]).max())
    return None if far < _TOLERANCE else f"samples differ by {far:.5f}"


def main() -> int:
    """Run by hand."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path)
    folders = parser.parse_args().folders
    if shutil.which("pngtopam") is None:
        parser.error("netpbm is not installed")
    logging.getLogger("pyvips").addHandler(logging.NullHandler())
    paths = sorted(path for folder in folders for path in folder.rglob("*") if path.is_file())
    total = tally(paths)
    print(f"{len(paths)} files, {total.read} read; {total.alike} PNG files as netpbm reads them")
    for title, counts in (
        ("refused", Counter({words: len(names) for words, names in total.refusals.items()})),
        ("said", total.said),
    ):
        print(f"\n{title}:")
        for words, count in counts.most_common():
            print(
                f"{count:6} {words} {', '.join(total.refusals[words][:3]) if words in total.refusals else ''}".rstrip()
            )
    print("", *total.faults, sep="\n")
    return bool(total.faults)


if __name__ == "__main__":
    sys.exit(main())
