"""AVIF: 8 bits by Pillow, 10 and 12 bits by libvips."""

from __future__ import annotations

from srspace.images import libvips
from srspace.images.containers import heif
from srspace.images.writers.contents import Contents


def encode(contents: Contents) -> bytes:
    """An AVIF file."""
    data = _deep(contents) if contents.depth > 8 else _flat(contents)
    cicp = contents.colour.cicp
    return data if cicp is None else heif.with_colour(data, (cicp.primaries, cicp.transfer))


def _flat(contents: Contents) -> bytes:
    metadata = contents.metadata
    return contents.by_pillow("AVIF", icc_profile=contents.colour.icc_profile, exif=metadata.exif, xmp=metadata.xmp)


def _deep(contents: Contents) -> bytes:
    pyvips, image, metadata = libvips.load(), contents.for_libvips(), contents.metadata
    if metadata.dpi is not None:
        image = image.copy(xres=metadata.dpi[0] / 25.4, yres=metadata.dpi[1] / 25.4)
    told = {"exif-data": metadata.exif, "xmp-data": metadata.xmp, "icc-profile-data": contents.colour.icc_profile}
    kept = [name.partition("-")[0] for name, data in told.items() if data is not None]
    for name, data in told.items():
        if data is not None:
            image.set_type(pyvips.GValue.blob_type, name, data)
    quality = dict(contents.options).get("quality", 90)
    return bytes(
        image.heifsave_buffer(
            compression="av1", bitdepth=contents.depth, Q=quality, subsample_mode="off", keep="|".join(kept) or "none"
        )
    )
