"""PNG, decoded by libvips from its pixels' chunks alone; the others are read here."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterable
from typing import Any

from numpy.typing import NDArray

from srspace.images import libvips
from srspace.images.colour import Cicp, Colour
from srspace.images.containers import DamagedError, png
from srspace.images.containers.png import Chunk
from srspace.images.metadata import Packets
from srspace.images.readers.decoded import Decoded, UnsupportedError, check_pixels

XMP = "XML:com.adobe.xmp"
_RAW_PROFILE = re.compile(r"Raw profile type (exif|APP1|iptc|xmp)", re.IGNORECASE)
_PALETTE = 3
_UNTOLD = {b"acTL", b"fcTL", b"fdAT", b"tIME", b"bKGD", b"hIST", b"sBIT", b"sPLT", *png.PIXELS}
"""Chunks whose loss changes nothing that is seen or told."""


def read(data: bytes, max_pixels: int) -> Decoded:
    """Decode a file; of an APNG, the picture that programs without animation show.

    Raises:
        UnsupportedError: it is too large, or holds what no reader handles.
        DamagedError: it is damaged.
    """
    found = list(png.chunks(data))
    header = png.image_header(found[0])
    check_pixels(header.width, header.height, max_pixels)
    for chunk in found:
        if not chunk.type[0] & 32 and chunk.type not in png.PIXELS:
            raise UnsupportedError(f"a chunk {chunk.type.decode('latin-1')!r}, which no program but its own reads")
    pixels = png.joined(c for c in found if c.type in png.PIXELS)
    samples = libvips.samples(libvips.load().Image.pngload_buffer(pixels, fail_on="error", unlimited=True))
    warnings: list[str] = []
    colour, packets = described(found, warnings)
    if header.colour_type == _PALETTE and _is_grey(samples) and (colour.icc_profile or b"GRAY" * 5)[16:20] == b"GRAY":
        samples = samples[..., (0, 3) if samples.shape[2] == 4 else (0,)]
    deep = header.bits == 16
    return Decoded(samples, 65535 if deep else 255, 16 if deep else 8, colour, packets, tuple(warnings))


def described(found: Iterable[Chunk], warnings: list[str]) -> tuple[Colour, Packets]:
    """What the chunks beside the pixels tell; what is damaged is left out and said."""
    kept: dict[str, Any] = {}
    colour: dict[str, Any] = {}
    texts: list[tuple[str, str]] = []
    for chunk in found:
        if chunk.type in _UNTOLD:
            continue
        try:
            if not chunk.sound:
                raise DamagedError("its checksum is wrong")
            if chunk.type in _COLOURS:
                name, reading = _COLOURS[chunk.type]
                colour.setdefault(name, reading(chunk.data))
            elif chunk.type == b"eXIf":
                kept.setdefault("exif", chunk.data)
            elif chunk.type == b"pHYs":
                kept.setdefault("dpi", _resolution(chunk.data))
            elif chunk.type in (b"tEXt", b"zTXt", b"iTXt"):
                _text(*png.text(chunk), kept, texts)
        except (DamagedError, struct.error, ValueError):
            warnings.append(f"its chunk {chunk.type.decode('latin-1')} is damaged and was left out.")
    return Colour(**colour), Packets(**kept, texts=tuple(texts))


def _is_grey(samples: NDArray[Any]) -> bool:
    return samples.shape[2] > 2 and bool((samples[..., :1] == samples[..., 1:3]).all())


def _icc(data: bytes) -> bytes:
    return png.inflated(data[data.index(b"\0") + 2 :], 32 * 2**20)


def _cicp(data: bytes) -> Cicp:
    primaries, transfer, matrix, full = struct.unpack(">4B", data)
    if matrix:
        raise ValueError("PNG holds RGB")
    return Cicp(primaries, transfer, bool(full))


def _gamma(data: bytes) -> float:
    value = struct.unpack(">I", data)[0] / 100_000
    if not 0.01 <= value <= 10:
        raise ValueError("no gamma")
    return float(value)


def _chromaticities(data: bytes) -> tuple[float, ...]:
    values = tuple(v / 100_000 for v in struct.unpack(">8I", data))
    if not all(0 < y <= 1 for y in values[1::2]):
        raise ValueError("no chromaticities")
    return values


_COLOURS: dict[bytes, tuple[str, Callable[[bytes], Any]]] = {
    b"iCCP": ("icc_profile", _icc),
    b"cICP": ("cicp", _cicp),
    b"sRGB": ("srgb", lambda data: min(struct.unpack(">B", data)[0], 3)),
    b"gAMA": ("gamma", _gamma),
    b"cHRM": ("chromaticities", _chromaticities),
}


def _resolution(data: bytes) -> tuple[float, float] | None:
    x, y, unit = struct.unpack(">IIB", data)
    return (_inches(x), _inches(y)) if unit == 1 and x and y else None


def _inches(per_metre: int) -> float:
    """Pixels per inch; 11811 a metre stand for 300."""
    value = per_metre * 0.0254
    return float(round(value)) if abs(value - round(value)) < 0.0127 else value


def _text(keyword: str, text: str, kept: dict[str, Any], texts: list[tuple[str, str]]) -> None:
    if keyword == XMP:
        kept.setdefault("xmp", text.encode())
        return
    match = _RAW_PROFILE.fullmatch(keyword)
    if match is None:
        texts.append((keyword, text))
        return
    raw = bytes.fromhex("".join(text.split()[2:]))
    if match[1].lower() == "iptc":
        from srspace.images.metadata import photoshop

        kept.setdefault("iptc", photoshop.iptc_of(raw) or raw)
    elif raw.startswith(b"http://ns.adobe.com/xap/1.0/\0") or match[1].lower() == "xmp":
        kept.setdefault("xmp", raw.removeprefix(b"http://ns.adobe.com/xap/1.0/\0"))
    else:
        kept.setdefault("exif", raw)
