"""JPEG: coded by Pillow, what is told beside by segments put in here."""

from __future__ import annotations

from collections.abc import Iterator

from srspace.images.containers import jpeg
from srspace.images.containers.jpeg import Segment
from srspace.images.metadata import COMMENT, photoshop
from srspace.images.writers.contents import Contents

_PART = jpeg.MOST - 14


def encode(contents: Contents) -> bytes:
    """A JPEG file."""
    dpi = contents.metadata.dpi
    data = contents.by_pillow("JPEG", dpi=None if dpi is None else tuple(min(round(v), 65_535) for v in dpi))
    start = 4 + int.from_bytes(data[4:6], "big")  # behind JFIF
    return data[:start] + b"".join(map(bytes, _described(contents))) + data[start:]


def _described(contents: Contents) -> Iterator[Segment]:
    metadata, profile = contents.metadata, contents.colour.icc_profile
    if metadata.exif is not None:
        yield Segment(jpeg.APP1, jpeg.EXIF + metadata.exif)
    if metadata.xmp is not None:
        yield Segment(jpeg.APP1, jpeg.XMP + metadata.xmp)
    if profile is not None:
        parts = [profile[i : i + _PART] for i in range(0, len(profile), _PART)]
        for number, part in enumerate(parts, 1):
            yield Segment(jpeg.APP2, jpeg.ICC + bytes((number, len(parts))) + part)
    if metadata.iptc is not None:
        yield Segment(jpeg.APP13, jpeg.PHOTOSHOP + photoshop.resources_of(metadata.iptc))
    for keyword, text in metadata.texts:
        if keyword == COMMENT:
            yield Segment(jpeg.COM, text.encode()[: jpeg.MOST])
