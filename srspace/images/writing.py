"""From a picture to a file: what the format holds is written, and what it does not is said."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from srspace.errors import OutputError, PictureSizeError
from srspace.files import write_bytes
from srspace.images.colour.carrying import Means, carried
from srspace.images.colour.conversion import rgb_to_srgb
from srspace.images.depth import quantized
from srspace.images.formats import format_of, rules_of
from srspace.images.metadata import Room, outgoing
from srspace.images.picture import Picture
from srspace.images.transparency import on_white
from srspace.images.writers import avif, gif, jpeg, jxl, png, tiff, webp
from srspace.images.writers.contents import Contents
from srspace.provenance import Provenance

_SEGMENT = 65_533
MEANS = {
    "png": Means(cicp=True, numbers=True), "avif": Means(cicp=True), "jxl": Means(icc=False), "gif": Means(icc=False),
}  # fmt: skip
ROOMS = {
    "png": Room(iptc=2**31, dpi=True, texts=True),
    "tiff": Room(iptc=2**31, dpi=True),
    "jpeg": Room(exif=_SEGMENT - 6, xmp=_SEGMENT - 29, iptc=_SEGMENT - 27, dpi=True, comment=True),
    "gif": Room(exif=0, comment=True),
}
_MOST_ICC = {"jpeg": 255 * (_SEGMENT - 14)}
_ENCODERS = {"png": png, "tiff": tiff, "jpeg": jpeg, "webp": webp, "avif": avif, "jxl": jxl, "gif": gif}


@dataclass(frozen=True)
class Encoded:
    """A file.

    Attributes:
        data: its bytes.
        warnings: sentences about what of the picture it does not hold.
    """

    data: bytes
    warnings: tuple[str, ...] = ()


def encode_picture(picture: Picture, format: str, *, provenance: Provenance | None = None) -> bytes:
    """Encode as ``format``, one of :func:`srspace.images.writable`.

    Formats without transparency get the picture on white; formats of fewer bits get it rounded.

    Args:
        picture: what to encode.
        format: name of the format.
        provenance: mark the file as a result (XMP).

    Raises:
        UsageError: the format is unknown.
        OutputError: the format cannot hold a picture of this size.
    """
    return encoded(picture, format, provenance=provenance).data


def encoded(picture: Picture, format: str, *, provenance: Provenance | None = None) -> Encoded:
    """As :func:`encode_picture`, and what is to be said.

    Raises:
        UsageError: the format is unknown.
        OutputError: the format cannot hold a picture of this size.
    """
    check_side(format, picture.width, picture.height)
    contents, warnings = contents_of(picture, format, provenance)
    if format == "gif":
        warnings += gif.lost(contents)
    return Encoded(_ENCODERS[format].encode(contents), warnings)


def write_picture(
    picture: Picture, path: Path | str, format: str | None = None, *, provenance: Provenance | None = None
) -> tuple[str, ...]:
    """Encode and write atomically; the format is told from the suffix unless given.

    Args:
        picture: what to write.
        path: where.
        format: as of :func:`encode_picture` (None: as the suffix says).
        provenance: mark the file as a result (XMP).

    Returns:
        Sentences about what of the picture the file does not hold.

    Raises:
        UsageError: the format is unknown.
        OutputError: the file cannot be written, or the format cannot hold a picture of this size.
    """
    path = Path(path)
    format = format or format_of(path)
    try:
        file = encoded(picture, format, provenance=provenance)
    except (OSError, ValueError, RuntimeError) as error:
        raise OutputError(f"{path} cannot be encoded: {error}.") from error
    write_bytes(path, file.data)
    return file.warnings


def check_side(format: str, width: int, height: int) -> None:
    """Whether ``format`` can hold a picture of that size.

    Raises:
        UsageError: the format is unknown.
        OutputError: it cannot.
    """
    most = rules_of(format).max_side
    if max(width, height) > most:
        raise PictureSizeError(format, most, width, height)


def contents_of(picture: Picture, format: str, mark: Provenance | None) -> tuple[Contents, tuple[str, ...]]:
    """What goes into a file of ``format``, and what is to be said."""
    rules = rules_of(format)
    warnings: list[str] = []
    grey_file = picture.grey and rules.grey
    told = carried(picture.colour, MEANS.get(format, Means()), grey=picture.grey, grey_file=grey_file, format=format)
    warnings.extend(told.warnings)
    colour = picture.rgb[..., :1] if grey_file else picture.rgb
    if told.source is not None:
        converted = rgb_to_srgb(quantized(picture.rgb, 16), told.source)
        colour = converted.astype(np.float32)[..., : 1 if grey_file else 3] / np.float32(65535)
    if picture.alpha is not None:
        colour = _with_alpha(colour, picture.alpha, format, rules.alpha, warnings)
    depth = _depth(picture.bit_depth, rules.bit_depths, format, warnings)
    going = outgoing(picture.metadata, (picture.width, picture.height), ROOMS.get(format, Room()), format, mark)
    warnings.extend(going.warnings)
    described = told.colour
    if len(described.icc_profile or b"") > _MOST_ICC.get(format, 2**31):
        described = replace(described, icc_profile=None)
        warnings.append(f"its colour profile was left out: {format} has no room for it.")
    contents = Contents(quantized(colour, depth), depth, described, going.metadata, dict(rules.options))
    return contents, tuple(warnings)


def _with_alpha(
    colour: NDArray[np.float32], alpha: NDArray[np.float32], format: str, held: bool, warnings: list[str]
) -> NDArray[np.float32]:
    if held:
        return np.dstack((colour, alpha))
    if alpha.min() < 1:
        warnings.append(f"its transparent parts were put on white, because {format} holds no transparency.")
    return on_white(colour, alpha)


def _depth(wanted: int, held: tuple[int, ...], format: str, warnings: list[str]) -> int:
    depth = next((bits for bits in held if bits >= wanted), held[-1])
    if depth < wanted:
        warnings.append(f"its {wanted} bits a sample were rounded to {depth}: {format} holds no more.")
    return depth
