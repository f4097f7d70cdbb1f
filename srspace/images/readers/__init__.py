"""Bytes to samples, by whichever library reads that kind of file right.

Pillow recognizes the file and reads 8 bits a sample. It would cut deeper ones down, so libvips reads those, and the
kinds of TIFF that Pillow does not know. PNM files of more than 8 bits are read here.
"""

from __future__ import annotations

import io

from PIL import Image, UnidentifiedImageError

from srspace.images.readers import pillow, pnm, vips
from srspace.images.readers.decoded import Decoded, UnsupportedError, check_pixels

__all__ = ["Decoded", "UnsupportedError", "decode"]


def decode(data: bytes, max_pixels: int) -> Decoded:
    """Decode a file; of an animation, the first frame.

    Raises:
        UnsupportedError: it is larger than ``max_pixels``, or holds what no reader handles.
        UnidentifiedImageError: it is of no known format.
        Exception: it is damaged; libraries raise anything from SyntaxError to struct.error then.
    """
    try:
        with Image.open(io.BytesIO(data)) as image:
            check_pixels(image.width, image.height, max_pixels)
            if image.format == "PPM" and (header := pnm.deep_header(data)) is not None:
                return pnm.read(data, header)
            return vips.read(data, max_pixels) if pillow.is_deep(image, data) else pillow.read(image)
    except UnidentifiedImageError:
        if not vips.is_tiff(data):
            raise
    return vips.read(data, max_pixels)
