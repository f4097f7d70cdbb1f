"""PNG: pixels by libvips, what is told of them by chunks put in here."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

from srspace.images.colour import Colour
from srspace.images.containers import png
from srspace.images.containers.png import Chunk
from srspace.images.metadata import Metadata, photoshop
from srspace.images.writers.contents import Contents

_LEVEL = 3
"""Of zlib: photographs are as small as by Pillow at level 4, in half the time; level 6 saves 1 % more."""

XMP = "XML:com.adobe.xmp"


def encode(contents: Contents) -> bytes:
    """A PNG file."""
    first, *rest = pixels(contents)
    return png.joined((first, *described(contents.colour, contents.metadata), *rest))


def pixels(contents: Contents) -> list[Chunk]:
    """The chunks that make up the picture alone."""
    image = contents.for_libvips()
    data = bytes(image.pngsave_buffer(compression=_LEVEL, bitdepth=contents.depth, filter="all", keep="none"))
    return [chunk for chunk in png.chunks(data) if chunk.type in png.PIXELS]


def described(colour: Colour, metadata: Metadata) -> Iterator[Chunk]:
    """The chunks that stand behind the header: colours, then resolution and metadata."""
    if colour.cicp is not None:
        yield Chunk(b"cICP", bytes((colour.cicp.primaries, colour.cicp.transfer, 0, colour.cicp.full_range)))
    if colour.icc_profile is not None:
        yield Chunk(b"iCCP", b"ICC profile\0\0" + zlib.compress(colour.icc_profile))
    if colour.srgb is not None:
        yield Chunk(b"sRGB", bytes((colour.srgb,)))
    if colour.gamma is not None:
        yield Chunk(b"gAMA", struct.pack(">I", round(colour.gamma * 100_000)))
    if colour.chromaticities is not None:
        yield Chunk(b"cHRM", struct.pack(">8I", *(round(v * 100_000) for v in colour.chromaticities)))
    if metadata.dpi is not None:
        yield Chunk(b"pHYs", struct.pack(">IIB", *(round(v / 0.0254) for v in metadata.dpi), 1))
    if metadata.exif is not None:
        yield Chunk(b"eXIf", metadata.exif)
    if metadata.xmp is not None:
        yield Chunk(b"iTXt", XMP.encode() + b"\0\0\0\0\0" + metadata.xmp)
    if metadata.iptc is not None:
        resources = photoshop.resources_of(metadata.iptc)
        yield png.text_chunk("Raw profile type iptc", f"\niptc\n{len(resources):8d}\n{resources.hex()}\n")
    for keyword, text in metadata.texts:
        yield png.text_chunk(keyword, text)
