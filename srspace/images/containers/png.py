"""Chunks of PNG files.

Decoders and encoders are given and asked for pixels alone; what describes them (profiles, EXIF, text) is taken out and
put in here, so that a damaged description never costs the picture.

Reference: W3C, "Portable Network Graphics (PNG) Specification (Third Edition)", 2025.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from srspace.images.containers.damage import DamagedError

SIGNATURE = b"\x89PNG\r\n\x1a\n"
PIXELS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
"""Chunks that make up a picture, in this order."""
ANIMATION = (b"acTL", b"fcTL", b"fdAT")
"""Chunks of an APNG beside those."""

_MOST_TEXT = 16 * 2**20


@dataclass(frozen=True)
class Chunk:
    """A chunk of a PNG file.

    Attributes:
        type: four letters.
        data: what it holds.
        sound: whether its checksum is right.
        given: the checksum that a file gives; None for that of type and data.
    """

    type: bytes
    data: bytes
    sound: bool = True
    given: int | None = None

    def __bytes__(self) -> bytes:
        checksum = self.checksum if self.given is None else self.given
        return struct.pack(">I", len(self.data)) + self.type + self.data + struct.pack(">I", checksum)

    @property
    def checksum(self) -> int:
        """CRC-32 of type and data."""
        return zlib.crc32(self.data, zlib.crc32(self.type))


@dataclass(frozen=True)
class ImageHeader:
    """What IHDR tells.

    Attributes:
        width: in pixels.
        height: in pixels.
        bits: of a sample or an index, 1 to 16.
        colour_type: 0 grey, 2 RGB, 3 palette, 4 grey with alpha, 6 RGB with alpha.
    """

    width: int
    height: int
    bits: int
    colour_type: int


def image_header(chunk: Chunk) -> ImageHeader:
    """Read IHDR.

    Raises:
        DamagedError: it is something else.
    """
    if chunk.type != b"IHDR" or len(chunk.data) != 13:
        raise DamagedError("it has no header")
    return ImageHeader(*struct.unpack(">IIBB", chunk.data[:10]))


def chunks(data: bytes) -> Iterator[Chunk]:
    """All chunks up to and including IEND.

    The checksums of compressed pixels are left to their decoder: there are hundreds of such chunks in a picture, and
    for each of them this thread would let go of the interpreter and have to wait for its turn again.

    Raises:
        DamagedError: the file ends before, or a chunk that pixels depend on has a wrong checksum.
    """
    position = len(SIGNATURE)
    while True:
        length, kind = _start(data, position)
        end = position + 12 + length
        if end > len(data):
            raise DamagedError(f"the file ends inside the chunk {kind.decode('latin-1')}")
        given = int.from_bytes(data[end - 4 : end], "big")
        chunk = Chunk(kind, data[position + 8 : end - 4], given=given)
        if kind != b"IDAT" and chunk.checksum != given:
            if kind in PIXELS + ANIMATION or not kind[0] & 32:
                raise DamagedError(f"the checksum of the chunk {kind.decode('latin-1')} is wrong")
            chunk = replace(chunk, sound=False)
        yield chunk
        if kind == b"IEND":
            return
        position = end


def joined(parts: Iterable[Chunk]) -> bytes:
    """A file of these chunks."""
    return SIGNATURE + b"".join(map(bytes, parts))


def inflated(data: bytes, most: int = _MOST_TEXT) -> bytes:
    """Decompress what a chunk holds.

    Raises:
        DamagedError: it is damaged, or larger than ``most`` bytes.
    """
    decoder = zlib.decompressobj()
    try:
        plain = decoder.decompress(data, most)
    except zlib.error as error:
        raise DamagedError("compressed data are damaged") from error
    if not decoder.eof:
        raise DamagedError(f"compressed data are cut short or larger than {most >> 20} MiB")
    return plain


def text(chunk: Chunk) -> tuple[str, str]:
    """Keyword and text of a tEXt, zTXt or iTXt chunk.

    Raises:
        DamagedError: it is none, or damaged.
    """
    keyword, separator, rest = chunk.data.partition(b"\0")
    if not separator or not 1 <= len(keyword) <= 79:
        raise DamagedError("a text has no keyword")
    name = keyword.decode("latin-1")
    if chunk.type == b"tEXt":
        return name, rest.decode("latin-1")
    if chunk.type == b"zTXt":
        return name, inflated(rest[1:]).decode("latin-1")
    if chunk.type != b"iTXt" or rest.count(b"\0") < 2 or len(rest) < 2:
        raise DamagedError("a text is cut short")
    compressed = rest[0] == 1
    _, _, content = rest[2:].split(b"\0", 2)
    return name, (inflated(content) if compressed else content).decode("utf-8", "replace")


def text_chunk(keyword: str, content: str) -> Chunk:
    """A chunk for a text, compressed where that is shorter."""
    name = keyword.encode("latin-1", "replace")[:79]
    try:
        plain = content.encode("latin-1")
    except UnicodeEncodeError:
        return Chunk(b"iTXt", name + b"\0\0\0\0\0" + content.encode("utf-8", "replace"))
    squeezed = zlib.compress(plain)
    if len(squeezed) < len(plain):
        return Chunk(b"zTXt", name + b"\0\0" + squeezed)
    return Chunk(b"tEXt", name + b"\0" + plain)


def _start(data: bytes, position: int) -> tuple[int, bytes]:
    if position + 12 > len(data):
        raise DamagedError("the file ends before its last chunk")
    length = int.from_bytes(data[position : position + 4], "big")
    return length, data[position + 4 : position + 8]
