"""From a picture's metadata to what a result of a certain size in a certain format carries."""

from __future__ import annotations

from dataclasses import dataclass, replace

from srspace.images.containers import DamagedError
from srspace.images.metadata import exif, xmp
from srspace.images.metadata.description import COMMENT, Metadata
from srspace.provenance import Provenance


@dataclass(frozen=True)
class Room:
    """What a format has room for.

    Attributes:
        exif: bytes of EXIF.
        xmp: bytes of XMP.
        iptc: bytes of IPTC.
        dpi: whether it holds the resolution outside of EXIF.
        texts: whether it holds texts by keyword.
        comment: whether it holds one comment.
    """

    exif: int = 2**31
    xmp: int = 2**31
    iptc: int = 0
    dpi: bool = False
    texts: bool = False
    comment: bool = False


@dataclass(frozen=True)
class Outgoing:
    """What goes into a file.

    Attributes:
        metadata: ``xmp`` holds the mark, too, where one is wanted.
        warnings: what the format has no room for.
    """

    metadata: Metadata
    warnings: tuple[str, ...]


def outgoing(metadata: Metadata, size: tuple[int, int], room: Room, format: str, mark: Provenance | None) -> Outgoing:
    """What a result of ``size``, width and height, carries of ``metadata``, with a mark if one is given."""
    warnings: list[str] = []
    packet = _exif(metadata, size, room, format, warnings)
    plain = _xmp(metadata.xmp, size, room, format, mark, warnings)
    iptc = metadata.iptc
    if iptc is not None and len(iptc) > room.iptc:
        iptc = None
        warnings.append(f"its IPTC data were left out: {format} has no room for them.")
    texts = tuple(t for t in metadata.texts if room.texts or (room.comment and t[0] == COMMENT))
    return Outgoing(replace(metadata, exif=packet, xmp=plain, iptc=iptc, texts=texts), tuple(warnings))


def _exif(metadata: Metadata, size: tuple[int, int], room: Room, format: str, warnings: list[str]) -> bytes | None:
    if metadata.exif is None:
        return None if metadata.dpi is None or room.dpi else exif.of_resolution(metadata.dpi)
    try:
        packet = exif.for_result(metadata.exif, *size, metadata.dpi)
        if len(packet) > room.exif:
            packet = exif.for_result(exif.without_maker_notes(metadata.exif), *size, metadata.dpi)
            if len(packet) <= room.exif:
                warnings.append(f"its maker notes were left out: {format} has no room for them.")
    except DamagedError:
        warnings.append("its EXIF data are damaged and were left out.")
        return None
    if len(packet) > room.exif:
        warnings.append(f"its EXIF data were left out: {format} has no room for them.")
        return None
    return packet


def _xmp(
    packet: bytes | None, size: tuple[int, int], room: Room, format: str, mark: Provenance | None, warnings: list[str]
) -> bytes | None:
    own = None if mark is None else mark.to_xmp()
    if packet is None:
        return own
    result = xmp.for_result(packet, *size)
    if mark is not None:
        result = xmp.marked(result, mark)
    if xmp.sound(result) is None:
        warnings.append("its XMP data could not be updated and were left out.")
        return own
    if len(result) > room.xmp:
        warnings.append(f"its XMP data were left out: {format} has no room for them.")
        return own
    return result
