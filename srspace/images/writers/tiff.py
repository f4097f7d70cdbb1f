"""TIFF: pixels by Pillow, or by libvips where they are deep or very many; EXIF and IPTC are put in here."""

from __future__ import annotations

from srspace.images import libvips
from srspace.images.containers import tiff, tiff_writing
from srspace.images.containers.tiff import Entry
from srspace.images.metadata import Metadata, exif
from srspace.images.writers.contents import Contents

_CLASSIC = 2**31
"""Bytes of samples from which on TIFF is written with 64-bit offsets."""
_XMP, _IPTC = 700, 33723


def encode(contents: Contents) -> bytes:
    """A TIFF file."""
    big = contents.samples.nbytes > _CLASSIC
    data = _by_libvips(contents, big) if big or contents.depth > 8 else _by_pillow(contents)
    metadata = contents.metadata
    if metadata.exif is None and metadata.iptc is None:
        return data
    return _with_fields(data, metadata)


def _by_pillow(contents: Contents) -> bytes:
    metadata = contents.metadata
    fields = None if metadata.xmp is None else {_XMP: metadata.xmp}
    return contents.by_pillow("TIFF", icc_profile=contents.colour.icc_profile, tiffinfo=fields, dpi=metadata.dpi)


def _by_libvips(contents: Contents, big: bool) -> bytes:
    pyvips, image = libvips.load(), contents.for_libvips()
    for name, data in (("icc-profile-data", contents.colour.icc_profile), ("xmp-data", contents.metadata.xmp)):
        if data is not None:
            image.set_type(pyvips.GValue.blob_type, name, data)
    dpi = contents.metadata.dpi
    resolution = {} if dpi is None else {"xres": dpi[0] / 25.4, "yres": dpi[1] / 25.4, "resunit": "inch"}
    data = bytes(image.tiffsave_buffer(compression="deflate", bigtiff=big, **resolution))
    return data if dpi is not None else _without_resolution(data)


def _without_resolution(data: bytes) -> bytes:
    """Libvips tells 25.4 dpi where nothing is known."""
    tree = tiff.parse(data, {})
    for tag in (exif.X_RESOLUTION, exif.Y_RESOLUTION, exif.RESOLUTION_UNIT):
        tree.chain[0].entries.pop(tag, None)
    return tiff_writing.with_directory(data, tree, tree.chain[0])


def _with_fields(data: bytes, metadata: Metadata) -> bytes:
    tree = tiff.parse(data, {})
    first = tree.chain[0]
    if metadata.exif is not None:
        told = exif.for_tiff(metadata.exif, tree.order)
        first.entries = told.entries | first.entries
        first.children |= told.children
    if metadata.iptc is not None:
        first.entries[_IPTC] = Entry(tiff.UNDEFINED, metadata.iptc)
    return tiff_writing.with_directory(data, tree, tree.chain[0])
