"""JPEG XL, by pillow-jxl-plugin: 8 bits of sRGB, because it takes no profile.

Reference: ISO/IEC 18181.
"""

from __future__ import annotations

from srspace.images.containers import jxl
from srspace.images.optional import module
from srspace.images.writers.contents import Contents


def encode(contents: Contents) -> bytes:
    """A JPEG XL file."""
    module("pillow_jxl")  # it makes itself known to Pillow
    return jxl.file(jxl.stream_of(contents.by_pillow("JXL")), contents.metadata.exif, contents.metadata.xmp)
