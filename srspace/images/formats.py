"""The one table of file formats: how their files are called, and what those that can be written hold."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from srspace.errors import UsageError
from srspace.suggestions import did_you_mean


@dataclass(frozen=True)
class Writing:
    """What a format can hold, and how it is written.

    Attributes:
        bit_depths: of its samples.
        alpha: whether it can be transparent.
        max_side: longest side, in pixels.
        options: of Pillow's encoder.
    """

    bit_depths: tuple[int, ...]
    alpha: bool
    max_side: int
    options: tuple[tuple[str, Any], ...] = ()


@dataclass(frozen=True)
class Format:
    """A file format that can be read.

    Attributes:
        suffixes: file name endings, the usual one first.
        writing: how it is written, or None where it is only read.
    """

    suffixes: tuple[str, ...]
    writing: Writing | None = None


_NO_LIMIT = 2**31 - 1

FORMATS: dict[str, Format] = {
    # A photograph at the usual level of 6 is not 1 % smaller, and takes up to three times as long.
    "png": Format((".png",), Writing((8, 16), True, _NO_LIMIT, (("compress_level", 4),))),
    "tiff": Format((".tif", ".tiff"), Writing((8, 16), True, _NO_LIMIT, (("compression", "tiff_adobe_deflate"),))),
    "webp": Format((".webp",), Writing((8,), True, 16_383, (("quality", 95),))),
    "jpeg": Format((".jpg", ".jpeg"), Writing((8,), False, 65_500, (("quality", 95), ("subsampling", 0)))),
    "avif": Format((".avif",), Writing((8,), True, 65_500, (("quality", 90), ("subsampling", "4:4:4")))),
    "bmp": Format((".bmp",)),
    "gif": Format((".gif",)),
    "pnm": Format((".ppm", ".pgm", ".pbm")),
    "tga": Format((".tga",)),
    "jpeg2000": Format((".jp2",)),
}


def writable() -> dict[str, Writing]:
    """The formats that can be written, by name."""
    return {name: format.writing for name, format in FORMATS.items() if format.writing is not None}


def rules_of(format: str) -> Writing:
    """How ``format`` is written.

    Raises:
        UsageError: there is no such format, or it is only read.
    """
    known = writable()
    if format not in known:
        hint = did_you_mean(format, known)
        raise UsageError(f"the format must be one of {', '.join(known)}, not {format!r}{hint}.")
    return known[format]


def format_named(name: str) -> str:
    """The writable format called ``name``; file name endings such as ``jpg`` and ``tif`` will do.

    Raises:
        UsageError: there is none.
    """
    wanted = name.lower()
    by_suffix = _written_as(f".{wanted}")
    if by_suffix is None:
        rules_of(wanted)
    return by_suffix or wanted


def format_of(path: Path) -> str:
    """The format that a file name asks for.

    Raises:
        UsageError: the suffix belongs to no format that can be written.
    """
    format = written_as(path)
    if format is None:
        known = " ".join(suffix for name in writable() for suffix in FORMATS[name].suffixes)
        raise UsageError(f"{path} names no format that can be written (known: {known}).")
    return format


def written_as(path: Path) -> str | None:
    """The writable format whose files end as ``path`` does, or None."""
    return _written_as(path.suffix)


def is_picture_path(path: Path) -> bool:
    """Whether a file's name looks like a picture's."""
    return not path.name.startswith(".") and any(path.suffix.lower() in f.suffixes for f in FORMATS.values())


def _written_as(suffix: str) -> str | None:
    return next((name for name in writable() if suffix.lower() in FORMATS[name].suffixes), None)
