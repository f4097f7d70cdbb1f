"""XMP packets: what they tell of the pixels, and how they go into a result beside this program's own mark.

Packets are changed as text, so that everything else in them stays as it was written.

Reference: ISO 16684-1, "Extensible metadata platform (XMP)".
"""

from __future__ import annotations

import re
from xml.parsers import expat

from srspace.provenance import NAMESPACE, Provenance

_RDF_END = re.compile(r"</([\w.-]+):RDF\s*>")
_MARK = re.compile(rf'<[\w.-]+:Description\b[^>]*xmlns:srspace="{NAMESPACE}"[^>]*/>')
_DESCRIPTION = re.compile(r"<[\w.-]+:Description\b")
_ORIENTATION = re.compile(r"""(tiff:Orientation\s*=\s*["']|<tiff:Orientation>\s*)(\d)""")
_GPS = re.compile(
    r"""\s+exif:GPS\w+\s*=\s*("[^"]*"|'[^']*')|<exif:GPS(\w+)\b[^>]*?(/>|>.*?</exif:GPS\2\s*>)""", re.DOTALL
)
_LEFT_OUT = re.compile(
    r"""\s+(?:xmpNote:HasExtendedXMP|hdrgm:\w+)\s*=\s*(?:"[^"]*"|'[^']*')"""
    r"""|<(xmp:Thumbnails|xap:Thumbnails|Container:Directory|hdrgm:\w+)\b[^>]*?(?:/>|>.*?</\1\s*>)""",
    re.DOTALL,
)


def sound(packet: bytes) -> bytes | None:
    """The packet as UTF-8, or None when it is no well-formed RDF."""
    try:
        text = packet.decode("utf-16" if packet[:2] in (b"\xfe\xff", b"\xff\xfe") else "utf-8").strip("\0\ufeff \r\n\t")
    except UnicodeDecodeError:
        return None
    found: list[str] = []

    def doctype(*_: object) -> None:
        raise ValueError("XMP has no document type")

    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartDoctypeDeclHandler = doctype  # no entity is ever expanded
    parser.StartElementHandler = lambda name, _: found.append(name)
    try:
        parser.Parse(text, True)
    except (expat.ExpatError, ValueError):
        return None
    return text.encode() if _RDF_END.search(text) is not None and found else None


def without_mark(packet: bytes) -> bytes | None:
    """The same without the mark of an earlier result; None where nothing else is in it."""
    text = packet.decode()
    rest = _MARK.sub("", text)
    return packet if rest == text else rest.encode() if _DESCRIPTION.search(rest) else None


def orientation(packet: bytes) -> int:
    """What it tells of the orientation, 1 to 8."""
    match = _ORIENTATION.search(packet.decode("utf-8", "replace"))
    value = 1 if match is None else int(match[2])
    return value if 1 <= value <= 8 else 1


def is_partial(packet: bytes) -> bool:
    """Whether a part of it stands elsewhere in the file, or describes a second picture there."""
    text = packet.decode("utf-8", "replace")
    return "HasExtendedXMP" in text or "hdrgm:" in text


def for_result(packet: bytes, width: int, height: int) -> bytes:
    """The packet as a result of that size carries it: orientation reset, sizes updated, thumbnails left out."""
    text = _LEFT_OUT.sub("", packet.decode())
    text = _ORIENTATION.sub(r"\g<1>1", text)
    for names, side in (
        ("tiff:ImageWidth|exif:PixelXDimension", width),
        ("tiff:ImageLength|exif:PixelYDimension", height),
    ):
        text = re.sub(rf"""((?:{names})(?:\s*=\s*["']|>\s*))\d+""", rf"\g<1>{side}", text)
    return text.encode()


def without_gps(packet: bytes) -> bytes:
    """The same without the place."""
    return _GPS.sub("", packet.decode()).encode()


def marked(packet: bytes | None, mark: Provenance) -> bytes:
    """The packet with this program's mark in it; without a packet, the mark's own."""
    if packet is None:
        return mark.to_xmp()
    text = packet.decode()
    end = [m.start() for m in _RDF_END.finditer(text)][-1]
    return (text[:end] + mark.description() + text[end:]).encode()
