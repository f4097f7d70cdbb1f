"""From raw packets to metadata: what is damaged is left out and said."""

from __future__ import annotations

from dataclasses import dataclass

from srspace.images.containers import DamagedError
from srspace.images.metadata import exif, photoshop, xmp
from srspace.images.metadata.description import Metadata
from srspace.images.metadata.exif import Told

_MOST_TEXT = 1_000_000


@dataclass(frozen=True)
class Packets:
    """What a reader finds, as it stands in the file.

    Attributes:
        exif: with or without ``Exif`` in front.
        xmp: an XMP packet.
        iptc: IPTC-IIM data.
        dpi: pixels per inch.
        texts: keywords and texts.
        orientation: told outside of EXIF, which does not count then; 1 where the reader has turned the picture.
    """

    exif: bytes | None = None
    xmp: bytes | None = None
    iptc: bytes | None = None
    dpi: tuple[float, float] | None = None
    texts: tuple[tuple[str, str], ...] = ()
    orientation: int | None = None


@dataclass(frozen=True)
class Gathered:
    """Metadata, and what they tell of the pixels.

    Attributes:
        metadata: what is well-formed.
        orientation: by which the picture must still be turned, 1 to 8.
        adobe_rgb: whether EXIF tells that the colour space is Adobe RGB.
        warnings: what was left out.
    """

    metadata: Metadata
    orientation: int
    adobe_rgb: bool
    warnings: tuple[str, ...]


def gathered(packets: Packets) -> Gathered:
    """Check what a reader found."""
    warnings: list[str] = []
    told = _exif(packets.exif, warnings)
    plain, partial = _xmp(packets.xmp, warnings)
    if partial:
        warnings.append("a part of its XMP that stands or points elsewhere in the file was left out.")
    packet = told[0]
    orientation = told[1].orientation if packets.orientation is None else packets.orientation
    if packets.orientation is None and packet is None and plain is not None:
        orientation = xmp.orientation(plain)
    iptc = packets.iptc
    if iptc is not None and not photoshop.sound(iptc):
        iptc = None
        warnings.append("its IPTC data are damaged and were left out.")
    texts = tuple((name, text) for name, text in packets.texts if len(text) <= _MOST_TEXT)
    if len(texts) < len(packets.texts):
        warnings.append("a text of more than a million letters was left out.")
    dpi = packets.dpi or told[1].dpi
    if dpi is not None and not all(0 < value < 1e6 for value in dpi):
        dpi = None
    metadata = Metadata(packet, plain, iptc, dpi, texts)
    return Gathered(metadata, orientation if 1 <= orientation <= 8 else 1, told[1].adobe_rgb, tuple(warnings))


def _exif(packet: bytes | None, warnings: list[str]) -> tuple[bytes | None, Told]:
    if packet is None:
        return None, Told()
    packet = packet.removeprefix(b"Exif\0\0")
    try:
        tree = exif.parse(packet)
    except DamagedError:
        warnings.append("its EXIF data are damaged and were left out.")
        return None, Told()
    if tree.damaged:
        warnings.append("a part of its EXIF data is damaged and was left out.")
    return packet, exif.told(tree)


def _xmp(packet: bytes | None, warnings: list[str]) -> tuple[bytes | None, bool]:
    if packet is None:
        return None, False
    plain = xmp.sound(packet)
    if plain is None:
        warnings.append("its XMP data are damaged and were left out.")
        return None, False
    return xmp.without_mark(plain), xmp.is_partial(plain)
