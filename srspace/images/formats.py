"""The one table of file formats: how their files are called, and what those that can be written hold."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from srspace.errors import MissingExtraError, UsageError
from srspace.images.kinds import foreign_by_suffix
from srspace.images.optional import EXTRA, is_installed
from srspace.suggestions import did_you_mean


@dataclass(frozen=True)
class Writing:
    """What a format can hold, and how it is written.

    Attributes:
        bit_depths: of its samples, the smallest first.
        alpha: whether it can be transparent.
        max_side: longest side, in pixels.
        options: of Pillow's encoder.
        grey: whether it holds pictures of one channel.
        animated: whether it holds animations.
        stills: whether the result of a still in that format is written in it unasked.
    """

    bit_depths: tuple[int, ...]
    alpha: bool
    max_side: int
    options: tuple[tuple[str, Any], ...] = ()
    grey: bool = False
    animated: bool = False
    stills: bool = True


@dataclass(frozen=True)
class Format:
    """A file format that can be read.

    Attributes:
        suffixes: file name endings, the usual one first.
        writing: how it is written, or None where it is only read.
        others: endings of files that are read, but that no result gets.
        package: what must be installed for it, as pip calls it; and the module in it.
    """

    suffixes: tuple[str, ...]
    writing: Writing | None = None
    others: tuple[str, ...] = ()
    package: tuple[str, str] | None = None

    @property
    def available(self) -> bool:
        """Whether what it needs is installed."""
        return self.package is None or is_installed(self.package[1])


_NO_LIMIT = 2**31 - 1

FORMATS: dict[str, Format] = {
    "png": Format(
        (".png", ".apng"), Writing((8, 16), True, _NO_LIMIT, grey=True, animated=True)
    ),
    "tiff": Format(
        (".tif", ".tiff"), Writing((8, 16), True, _NO_LIMIT, (("compression", "tiff_adobe_deflate"),), grey=True)
    ),
    "webp": Format((".webp",), Writing((8,), True, 16_383, (("quality", 95),), animated=True)),
    "jpeg": Format(
        (".jpg", ".jpeg", ".jfif", ".jpe"),
        Writing((8,), False, 65_500, (("quality", 95), ("subsampling", 0)), grey=True),
        (".mpo", ".jif", ".jfi", ".jps"),
    ),
    "avif": Format(
        (".avif",), Writing((8, 10, 12), True, 65_500, (("quality", 90), ("subsampling", "4:4:4"))), (".avifs",)
    ),
    # 256 colours would be a loss for a still; an animation has no other way to stay what it is.
    "gif": Format((".gif",), Writing((8,), True, 65_535, animated=True, stills=False)),
    "jxl": Format(
        (".jxl",), Writing((8,), True, _NO_LIMIT, (("quality", 95),), grey=True),
        package=("pillow-jxl-plugin", "pillow_jxl"),
    ),
    "heic": Format((".heic", ".heif", ".hif", ".heics", ".heifs"), package=("pillow-heif", "pillow_heif")),
    "bmp": Format((".bmp", ".dib")),
    "pnm": Format((".ppm", ".pgm", ".pbm", ".pnm", ".pam")),
    "tga": Format((".tga",)),
    "jpeg2000": Format((".jp2", ".j2k", ".jpx", ".jpf", ".j2c", ".jpc")),
    "qoi": Format((".qoi",)),
    "pcx": Format((".pcx",)),
    "sgi": Format((".sgi", ".rgb", ".rgba", ".bw")),
}  # fmt: skip


def writable() -> dict[str, Writing]:
    """The formats that can be written with what is installed, by name."""
    return {name: f.writing for name, f in FORMATS.items() if f.writing is not None and f.available}


def rules_of(format: str) -> Writing:
    """How ``format`` is written.

    Raises:
        UsageError: there is no such format, it is only read, or what it needs is not installed.
    """
    known = FORMATS.get(format)
    if known is None or known.writing is None:
        choices = writable()
        hint = did_you_mean(format, choices)
        raise UsageError(f"the format must be one of {', '.join(choices)}, not {format!r}{hint}.")
    if not known.available and known.package is not None:
        raise MissingExtraError(f"the format {format}", known.package[0], EXTRA)
    return known.writing


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
        wanted = next((name for name, f in FORMATS.items() if path.suffix.lower() in f.suffixes and f.writing), None)
        if wanted is not None:
            rules_of(wanted)
        known = " ".join(suffix for name in writable() for suffix in FORMATS[name].suffixes)
        raise UsageError(f"{path} names no format that can be written (known: {known}).")
    return format


def written_as(path: Path) -> str | None:
    """The writable format whose files end as ``path`` does, or None."""
    return _written_as(path.suffix)


def read_as(path: Path) -> str | None:
    """The format whose files end as ``path`` does, or None."""
    suffix = path.suffix.lower()
    return next((name for name, f in FORMATS.items() if suffix in f.suffixes + f.others), None)


def is_picture_path(path: Path) -> bool:
    """Whether a file's name looks like that of a picture that can be read with what is installed."""
    format = None if path.name.startswith(".") else read_as(path)
    return format is not None and FORMATS[format].available


def left_out(path: Path) -> str | None:
    """Why a file in a folder is not read although its name looks like that of a picture; None of any other file."""
    if path.name.startswith("."):
        return None
    format = read_as(path)
    if format is not None:
        package = FORMATS[format].package
        return None if package is None or FORMATS[format].available else f"{package[0]} is not installed"
    foreign = foreign_by_suffix(path.suffix)
    return None if foreign is None else f"{foreign.what}, which is not read"


def _written_as(suffix: str) -> str | None:
    return next((name for name in writable() if suffix.lower() in FORMATS[name].suffixes), None)
