"""What can be told of a picture file without decoding it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from srspace.images.quiet import no_warnings
from srspace.images.readers import vips
from srspace.provenance import Provenance

_ORIENTATION = 0x0112


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
        with no_warnings(), Image.open(path) as image:
            packet = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp")
            return _header(*image.size, _orientation(image), packet)
    except Exception:  # as above; decoders raise anything
        image = vips.open_tiff(path)
    if image is None:
        return None
    fields = {name: image.get(name) for name in ("orientation", "xmp-data") if image.get_typeof(name)}
    return _header(image.width, image.height, fields.get("orientation", 1), fields.get("xmp-data"))


def _orientation(image: Image.Image) -> int:
    """EXIF's, unless it stands behind the samples."""
    if image.format == "TIFF":  # Pillow has applied it to the size
        return 1
    exif = Image.Exif()
    if isinstance(packet := image.info.get("exif"), bytes):
        exif.load(packet)
    return int(exif.get(_ORIENTATION, 1))


def _header(width: int, height: int, orientation: int, packet: object) -> Header:
    mark = Provenance.from_xmp(packet) if isinstance(packet, bytes | str) else None
    return Header(height, width, mark) if orientation in (5, 6, 7, 8) else Header(width, height, mark)
