"""PNM files of more than 8 bits a sample, which Pillow scales in its own way."""

from __future__ import annotations

import re

import numpy as np

from srspace.images.readers.decoded import Decoded

_HEADER = re.compile(rb"P([2356])(?:\s+|#[^\n]*\n)+(\d+)\s+(\d+)\s+(\d+)")


def deep_header(data: bytes) -> re.Match[bytes] | None:
    """The header of a file of more than 8 bits: kind, width, height, largest value. None for any other file."""
    header = _HEADER.match(data)
    return header if header is not None and int(header[4]) > 255 else None


def read(data: bytes, header: re.Match[bytes]) -> Decoded:
    """Samples of the file with that header."""
    kind, width, height, top = (int(group) for group in header.groups())
    shape = (height, width, 3 if kind in (3, 6) else 1)
    count = int(np.prod(shape))
    if kind > 3:
        samples = np.frombuffer(data, ">u2", count, offset=header.end() + 1).astype(np.uint16)
    else:
        samples = np.array(data[header.end() :].split()[:count], dtype=np.uint16)
    return Decoded(np.minimum(samples.reshape(shape), top).astype(np.uint16), top)
