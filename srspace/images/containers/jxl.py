"""The header of JPEG XL files, and their boxes.

Reference: ISO/IEC 18181-1 (code stream: SizeHeader, ImageMetadata) and 18181-2 (container).
"""

from __future__ import annotations

from dataclasses import dataclass

from srspace.images.containers.boxes import box, boxes
from srspace.images.containers.damage import DamagedError

SIGNATURE = b"\0\0\0\x0cJXL \r\n\x87\n"
_RATIOS = {1: (1, 1), 2: (12, 10), 3: (4, 3), 4: (3, 2), 5: (16, 9), 6: (5, 4), 7: (2, 1)}


@dataclass(frozen=True)
class Header:
    """What the code stream begins with.

    Attributes:
        width: in pixels, before any turning.
        height: likewise.
        bits: of a sample.
        floating: whether samples are floating-point numbers.
        animated: whether there are frames.
    """

    width: int
    height: int
    bits: int = 8
    floating: bool = False
    animated: bool = False


class _Bits:
    """Numbers of so many bits, the lowest first."""

    def __init__(self, data: bytes) -> None:
        self._value, self._left = int.from_bytes(data, "little"), 8 * len(data)

    def take(self, count: int) -> int:
        if count > self._left:
            raise DamagedError("its header is cut short")
        found = self._value & ((1 << count) - 1)
        self._value >>= count
        self._left -= count
        return found

    def number(self, *choices: tuple[int, int]) -> int:
        """One of four kinds of number: so many bits, and what is added to them."""
        count, offset = choices[self.take(2)]
        return offset + self.take(count)


def header(data: bytes) -> Header:
    """Read the header of a file or a code stream.

    Raises:
        DamagedError: it is cut short.
    """
    bits = _Bits(stream_of(data)[2:66])
    small = bits.take(1)
    height = 8 * (1 + bits.take(5)) if small else bits.number((9, 1), (13, 1), (18, 1), (30, 1))
    ratio = bits.take(3)
    if ratio:
        across, down = _RATIOS[ratio]
        width = height * across // down
    else:
        width = 8 * (1 + bits.take(5)) if small else bits.number((9, 1), (13, 1), (18, 1), (30, 1))
    if bits.take(1):  # everything has its default
        return Header(width, height)
    animated = False
    if bits.take(1):
        bits.take(3)
        if bits.take(1):
            _skip_size(bits)
        if bits.take(1):
            raise DamagedError("it holds a preview, which is not handled")
        animated = bool(bits.take(1))
        if animated:
            bits.number((0, 100), (0, 1000), (10, 1), (30, 1))
            bits.number((0, 1), (0, 1001), (8, 1), (10, 1))
            bits.number((0, 0), (3, 0), (16, 0), (32, 0))
            bits.take(1)
    if bits.take(1):
        return Header(width, height, bits.number((0, 32), (0, 16), (0, 24), (6, 1)), True, animated)
    return Header(width, height, bits.number((0, 8), (0, 10), (0, 12), (6, 1)), False, animated)


def packets(data: bytes) -> dict[bytes, bytes]:
    """What the boxes ``Exif`` and ``xml `` of a file hold, the first of each."""
    found: dict[bytes, bytes] = {}
    if data[: len(SIGNATURE)] == SIGNATURE:
        for part in boxes(data):
            content = data[part.start : part.end]
            if part.type == b"Exif":
                found.setdefault(part.type, content[4 + int.from_bytes(content[:4], "big") :])
            elif part.type == b"xml ":
                found.setdefault(part.type, content)
    return found


def file(stream: bytes, exif: bytes | None, xmp: bytes | None) -> bytes:
    """A file of a code stream and metadata."""
    parts = [SIGNATURE, box(b"ftyp", b"jxl \0\0\0\0jxl ")]
    if exif is not None:
        parts.append(box(b"Exif", bytes(4) + exif))
    if xmp is not None:
        parts.append(box(b"xml ", xmp))
    return b"".join((*parts, box(b"jxlc", stream)))


def stream_of(data: bytes) -> bytes:
    """The code stream of a file, or the stream itself.

    Raises:
        DamagedError: there is none.
    """
    if data[:2] == b"\xff\x0a":
        return data
    found = [data[part.start : part.end] for part in boxes(data) if part.type == b"jxlc"]
    found = found or [b"".join(data[part.start + 4 : part.end] for part in boxes(data) if part.type == b"jxlp")]
    if not found[0].startswith(b"\xff\x0a"):
        raise DamagedError("it holds no code stream")
    return found[0]


def _skip_size(bits: _Bits) -> None:
    if bits.take(1):
        bits.take(5)
        if not bits.take(3):
            bits.take(5)
    else:
        bits.number((9, 1), (13, 1), (18, 1), (30, 1))
        if not bits.take(3):
            bits.number((9, 1), (13, 1), (18, 1), (30, 1))
