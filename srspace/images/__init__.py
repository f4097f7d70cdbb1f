"""Pictures in files: bit depth, alpha, grey, colour profiles and orientation come out as they went in."""

from srspace.images.formats import (
    FORMATS,
    Format,
    Writing,
    format_named,
    format_of,
    is_picture_path,
    writable,
    written_as,
)
from srspace.images.header import Header, read_header
from srspace.images.picture import Picture
from srspace.images.reading import MAX_PIXELS, read_bytes, read_picture, read_rgb8
from srspace.images.transparency import fill_transparent, on_white
from srspace.images.writing import check_side, encode_picture, write_picture

__all__ = [
    "FORMATS",
    "MAX_PIXELS",
    "Format",
    "Header",
    "Picture",
    "Writing",
    "check_side",
    "encode_picture",
    "fill_transparent",
    "format_named",
    "format_of",
    "is_picture_path",
    "on_white",
    "read_bytes",
    "read_header",
    "read_picture",
    "read_rgb8",
    "writable",
    "write_picture",
    "written_as",
]
