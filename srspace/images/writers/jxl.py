"""JPEG XL, by pillow-jxl-plugin: 8 bits of sRGB, because it takes no profile.

Reference: ISO/IEC 18181.
"""

from __future__ import annotations

import io

from srspace.images.containers import jxl
from srspace.images.optional import module
from srspace.images.writers.contents import Contents


def encode(contents: Contents) -> bytes:
    """A JPEG XL file."""
    module("pillow_jxl")  # it makes itself known to Pillow
    buffer = io.BytesIO()
    contents.for_pillow().save(buffer, "JXL", **contents.options)
    return jxl.file(jxl.stream_of(buffer.getvalue()), contents.metadata.exif, contents.metadata.xmp)
