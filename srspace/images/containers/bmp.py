"""The header of BMP files.

Reference: Microsoft, "Bitmap Header Types" (BITMAPINFOHEADER, BITMAPV5HEADER).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from srspace.images.containers.damage import DamagedError

_CORE, _INFO, _V5 = 12, 40, 124
_BITFIELDS = (3, 6)


@dataclass(frozen=True)
class Header:
    """What the header tells.

    Attributes:
        length: of the second header, which tells its version.
        width: in pixels.
        height: in pixels.
        bits: of a pixel.
        compression: 0 none, 1 and 2 run lengths, 3 and 6 bit masks.
        start: where the pixels begin.
    """

    length: int
    width: int
    height: int
    bits: int
    compression: int
    start: int


def parse(data: bytes) -> Header:
    """Read the header.

    Raises:
        DamagedError: it is cut short.
    """
    if len(data) < 54 and not (len(data) >= 26 and data[14] == _CORE):
        raise DamagedError("its header is cut short")
    start, length = struct.unpack("<II", data[10:18])
    if length == _CORE:
        width, height, _, bits = struct.unpack("<HHHH", data[18:26])
        return Header(length, width, height, bits, 0, start)
    width, height, _, bits, compression = struct.unpack("<iiHHI", data[18:34])
    return Header(length, abs(width), abs(height), bits, compression, start)


def with_file_header(data: bytes) -> bytes:
    """A DIB file, which may lack the first header, with it.

    Raises:
        DamagedError: it is cut short.
    """
    if data.startswith(b"BM"):
        return data
    header = parse(bytes(14) + data)
    entry, colours = (3, 0) if header.length == _CORE else (4, int.from_bytes(data[32:36], "little"))
    if header.bits <= 8:
        colours = min(colours or 2**header.bits, 256)
    separate_masks = {3: 12, 6: 16}.get(header.compression, 0) if header.length == _INFO else 0
    start = 14 + header.length + separate_masks + entry * colours
    return b"BM" + struct.pack("<IHHI", 14 + len(data), 0, 0, start) + data


def masks(header: Header, data: bytes) -> tuple[int, ...]:
    """Bit masks of red, green and blue; none where the header has none."""
    if header.compression not in _BITFIELDS:
        return ()
    return struct.unpack("<3I", data[54:66].ljust(12, b"\0"))


def profile(header: Header, data: bytes) -> bytes | None:
    """The embedded ICC profile; None where there is none."""
    if header.length != _V5 or data[70:74] != b"DEBM":
        return None
    start, length = struct.unpack("<II", data[126:134])
    return data[14 + start : 14 + start + length] or None
