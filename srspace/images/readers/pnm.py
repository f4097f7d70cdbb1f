"""PNM and PAM files, of 1 to 16 bits a sample.

Reference: the manual pages pbm(5), pgm(5), ppm(5) and pam(5) of Netpbm.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from srspace.images.containers import DamagedError
from srspace.images.readers.decoded import Decoded, UnsupportedError, check_pixels

_TOKEN = re.compile(rb"(?:\s|#[^\n]*\n)+(\d+)")
_END_OF_HEADER = re.compile(rb"#[^\n]*\n|\s")
_COMMENT = re.compile(rb"#[^\n]*\n?")
_PAM_LINE = re.compile(rb"\s*(?:#[^\n]*|([A-Z]+)(?:[ \t]+([^\n]*?))?[ \t\r]*)\n")


@dataclass(frozen=True)
class Header:
    """What stands before the samples.

    Attributes:
        kind: the digit behind the P.
        width: in pixels.
        height: in pixels.
        channels: 1 to 4.
        top: the value that stands for 1.
        start: where the samples begin.
    """

    kind: int
    width: int
    height: int
    channels: int
    top: int
    start: int


def read(data: bytes, max_pixels: int) -> Decoded:
    """Decode a file; of several pictures in it, the first.

    Raises:
        UnsupportedError: it is too large.
        DamagedError: it is damaged.
    """
    header = _pam(data) if data[1:2] == b"7" else _pnm(data)
    check_pixels(header.width, header.height, max_pixels)
    if not 1 <= header.top <= 65535:
        raise DamagedError("the largest value must lie between 1 and 65535")
    samples = _plain(data, header) if header.kind < 4 else _binary(data, header)
    if samples.max(initial=0) > header.top:
        raise DamagedError("a sample is larger than the largest value")
    deep = header.top > 255
    return Decoded(samples.astype(np.uint16 if deep else np.uint8), header.top, 16 if deep else 8)


def size(data: bytes) -> tuple[int, int]:
    """Width and height, told by the beginning of a file.

    Raises:
        DamagedError: there is no whole header.
    """
    header = _pam(data) if data[1:2] == b"7" else _pnm(data)
    return header.width, header.height


def _pnm(data: bytes) -> Header:
    kind, position, numbers = data[1] - ord("0"), 2, []
    for _ in range(2 if kind in (1, 4) else 3):
        match = _TOKEN.match(data, position)
        if match is None or len(match[1]) > 9:
            raise DamagedError("its header is cut short")
        numbers.append(int(match[1]))
        position = match.end()
    end = _END_OF_HEADER.match(data, position)
    if end is None:
        raise DamagedError("its header is cut short")
    top = 1 if kind in (1, 4) else numbers[2]
    return Header(kind, numbers[0], numbers[1], 3 if kind in (3, 6) else 1, top, end.end())


def _pam(data: bytes) -> Header:
    fields: dict[bytes, bytes] = {}
    position = 2
    while b"ENDHDR" not in fields:
        line = _PAM_LINE.match(data, position)
        if line is None:
            raise DamagedError("its header is cut short")
        if line[1] is not None:
            fields[line[1]] = line[2] or b""
        position = line.end()
    try:
        width, height, channels, top = (int(fields[name]) for name in (b"WIDTH", b"HEIGHT", b"DEPTH", b"MAXVAL"))
    except (KeyError, ValueError) as error:
        raise DamagedError("its header lacks a size") from error
    kind = fields.get(b"TUPLTYPE", b"").decode("latin-1").removesuffix("_ALPHA")
    if kind not in ("", "GRAYSCALE", "BLACKANDWHITE", "RGB") or channels not in (1, 2, 3, 4):
        raise UnsupportedError(f"{channels} channels of the kind {kind or 'unknown'}; grey and RGB are handled")
    return Header(7, width, height, channels, top, position)


def _binary(data: bytes, header: Header) -> NDArray[np.uint16]:
    height, width, channels = header.height, header.width, header.channels
    if header.kind == 4:
        row = (width + 7) // 8
        packed = _bytes(data, header.start, row * height).reshape(height, row)
        return 1 - np.unpackbits(packed, axis=1)[:, :width, None].astype(np.uint16)
    width_of_sample = 2 if header.top > 255 else 1
    found = _bytes(data, header.start, height * width * channels * width_of_sample)
    values = found.view(">u2") if width_of_sample == 2 else found
    return values.reshape(height, width, channels).astype(np.uint16)


def _bytes(data: bytes, start: int, count: int) -> NDArray[np.uint8]:
    if len(data) - start < count:
        raise DamagedError("the file ends before its last sample")
    return np.frombuffer(data, np.uint8, count, start)


def _plain(data: bytes, header: Header) -> NDArray[np.uint16]:
    shape = (header.height, header.width, header.channels)
    count = header.height * header.width * header.channels
    text = _COMMENT.sub(b" ", data[header.start :])
    if header.kind == 1:  # digits need no space between them
        values = np.frombuffer(b"".join(text.split())[:count], np.uint8).astype(np.int64) - ord("0")
        if values.size and values.max() > 1:
            raise DamagedError("a sample is larger than the largest value")
        values = 1 - values
    else:
        try:
            values = np.array([int(word) for word in text.split(maxsplit=count)[:count]], np.int64)
        except ValueError as error:
            raise DamagedError("a sample is no number") from error
    if len(values) < count:
        raise DamagedError("the file ends before its last sample")
    if values.size and not 0 <= values.min() <= values.max() <= 65535:
        raise DamagedError("a sample is larger than the largest value")
    return values.reshape(shape).astype(np.uint16)
