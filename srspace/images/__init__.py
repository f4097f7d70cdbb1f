"""Pictures in files: depth, transparency, colours and metadata come out as they went in, or it is said."""

from srspace.images.colour import Cicp, Colour
from srspace.images.formats import (
    FORMATS,
    Format,
    Writing,
    format_named,
    format_of,
    is_picture_path,
    left_out,
    read_as,
    writable,
    written_as,
)
from srspace.images.header import Header, read_header
from srspace.images.metadata import Metadata
from srspace.images.picture import Picture
from srspace.images.reading import MAX_PIXELS, read_bytes, read_picture, read_rgb8
from srspace.images.resampling import resized
from srspace.images.transparency import fill_transparent, on_white
from srspace.images.writing import Encoded, check_side, encode_picture, encoded, write_picture

__all__ = [
    "FORMATS",
    "MAX_PIXELS",
    "Cicp",
    "Colour",
    "Encoded",
    "Format",
    "Header",
    "Metadata",
    "Picture",
    "Writing",
    "check_side",
    "encode_picture",
    "encoded",
    "fill_transparent",
    "format_named",
    "format_of",
    "is_picture_path",
    "left_out",
    "on_white",
    "read_as",
    "read_bytes",
    "read_header",
    "read_picture",
    "read_rgb8",
    "resized",
    "writable",
    "write_picture",
    "written_as",
]
