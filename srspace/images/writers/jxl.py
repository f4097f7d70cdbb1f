"""JPEG XL: 8 bits by pillow-jxl-plugin, 16 bits by imagecodecs. Colours are sRGB: neither takes a profile.

Reference: ISO/IEC 18181.
"""

from __future__ import annotations

import io

from srspace.images.containers import jxl
from srspace.images.optional import module
from srspace.images.writers.contents import Contents

_DISTANCE = 0.55
"""What libjxl makes of a quality of 95."""


def encode(contents: Contents) -> bytes:
    """A JPEG XL file."""
    if contents.depth > 8:
        samples = contents.samples[..., 0] if contents.samples.shape[2] == 1 else contents.samples
        stream = bytes(module("imagecodecs").jpegxl_encode(samples, distance=_DISTANCE, usecontainer=False))
    else:
        module("pillow_jxl")
        buffer = io.BytesIO()
        contents.for_pillow().save(buffer, "JXL", **contents.options)
        stream = buffer.getvalue()
    return jxl.file(jxl.stream_of(stream), contents.metadata.exif, contents.metadata.xmp)
