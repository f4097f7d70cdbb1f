"""What a file tells about a picture beside its pixels and their colours."""

from __future__ import annotations

from dataclasses import dataclass, replace

from srspace.images.metadata import exif, xmp


@dataclass(frozen=True)
class Metadata:
    """What a file tells about a picture, each part well-formed.

    Attributes:
        exif: EXIF, beginning with the TIFF header.
        xmp: XMP packet, UTF-8.
        iptc: IPTC-IIM data.
        dpi: pixels per inch, horizontally and vertically.
        texts: keywords and texts, as PNG holds them; the keyword of a JPEG's or GIF's comment is ``Comment``.
    """

    exif: bytes | None = None
    xmp: bytes | None = None
    iptc: bytes | None = None
    dpi: tuple[float, float] | None = None
    texts: tuple[tuple[str, str], ...] = ()

    def without_gps(self) -> Metadata:
        """The same without the place where the picture was taken."""
        return replace(
            self,
            exif=None if self.exif is None else exif.without_gps(self.exif),
            xmp=None if self.xmp is None else xmp.without_gps(self.xmp),
        )


COMMENT = "Comment"
"""Keyword of a text that is all that a file says."""
