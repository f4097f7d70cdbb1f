"""What can be told of a picture file without decoding it."""

from __future__ import annotations

import mmap
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from srspace.images.containers import bmp, heif, jpeg, jxl, png, riff, tiff
from srspace.images.containers import gif as gif_blocks
from srspace.images.kinds import HEAD, recognized
from srspace.images.metadata import exif
from srspace.images.orientation import turned
from srspace.images.quiet import no_warnings
from srspace.images.readers import jpeg2000, pnm
from srspace.images.readers import png as png_reader
from srspace.images.readers.tiff import CHILDREN, XMP
from srspace.provenance import Provenance

Told = tuple[int, int, int, bytes | None]
"""Width, height, orientation and XMP packet."""


@dataclass(frozen=True)
class Header:
    """What stands at the beginning of a picture file.

    Attributes:
        width: in pixels, the right way up as far as the header tells.
        height: likewise.
        provenance: the mark of a result of this program; None for any other picture.
    """

    width: int
    height: int
    provenance: Provenance | None = None


def read_header(path: Path) -> Header | None:
    """Size and mark of a picture file; None when there is no picture that can be recognized.

    What is wrong with a file is told when it is read, not here.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return None
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            kind = recognized(data[:HEAD])
            if not isinstance(kind, str):
                return None
            with no_warnings():
                told = _TOLD[kind](data) if kind in _TOLD else _by_pillow(path, kind)
    except Exception:  # as above; parsers raise anything
        return None
    width, height, orientation, packet = told
    mark = None if packet is None else Provenance.from_xmp(packet)
    return Header(*turned(width, height, orientation), mark)


def _png(data: Any) -> Told:
    chunks = []
    for chunk in png.chunks(data):
        if chunk.type == b"IDAT":
            break
        chunks.append(chunk)
    header = png.image_header(chunks[0])
    _, packets = png_reader.described(chunks, [])
    return header.width, header.height, _orientation(packets.exif), packets.xmp


def _jpeg(data: Any) -> Told:
    frame, segments = jpeg.header(data)
    if frame is None:
        raise ValueError("no frame header")
    told = [segment.data for segment in segments if segment.marker == jpeg.APP1]
    orientation = next((_orientation(data) for data in told if data.startswith(jpeg.EXIF)), 1)
    packet = next((data.removeprefix(jpeg.XMP) for data in told if data.startswith(jpeg.XMP)), None)
    return frame.width, frame.height, orientation, packet


def _tiff(data: Any) -> Told:
    tree = tiff.parse(data, CHILDREN)
    first = tree.chain[0]
    width, height = (tree.number(first, tag) for tag in (exif.IMAGE_WIDTH, exif.IMAGE_HEIGHT))
    packet = first.entries[XMP].data if XMP in first.entries else None
    return width, height, tree.number(first, exif.ORIENTATION, 1), packet


def _webp(data: Any) -> Told:
    chunks = list(riff.chunks(data))
    size = next(found for chunk in chunks if (found := riff.size(chunk)) is not None)
    by_type = {chunk.type: chunk.data for chunk in chunks}
    return *size, _orientation(by_type.get(b"EXIF")), by_type.get(b"XMP ")


def _gif(data: Any) -> Told:
    return int.from_bytes(data[6:8], "little"), int.from_bytes(data[8:10], "little"), 1, gif_blocks.xmp(data)


def _jxl(data: Any) -> Told:
    header = jxl.header(data)
    return header.width, header.height, 1, jxl.packets(data).get(b"xml ")


def _jpeg2000(data: Any) -> Told:
    width, height, _, _ = jpeg2000.size(data)
    return width, height, 1, None


def _bmp(data: Any) -> Told:
    header = bmp.parse(bmp.with_file_header(data[:HEAD]))
    return header.width, header.height, 1, None


def _heic(data: Any) -> Told:
    size = heif.properties(data).size
    if size is None:
        raise ValueError("no size")
    return *size, 1, None


_TOLD: dict[str, Callable[[Any], Told]] = {
    "png": _png, "jpeg": _jpeg, "tiff": _tiff, "webp": _webp, "gif": _gif, "jxl": _jxl, "jpeg2000": _jpeg2000,
    "heic": _heic, "bmp": _bmp, "pnm": lambda data: (*pnm.size(data[:HEAD]), 1, None),
}  # fmt: skip


def _by_pillow(path: Path, kind: str) -> Told:
    with Image.open(path, formats=[kind.upper()]) as image:
        return *image.size, _orientation(image.info.get("exif")), image.info.get("xmp")


def _orientation(packet: bytes | None) -> int:
    """EXIF's."""
    try:
        return 1 if packet is None else exif.told(exif.parse(packet)).orientation
    except Exception:  # it is damaged, and said to be when the picture is read
        return 1
