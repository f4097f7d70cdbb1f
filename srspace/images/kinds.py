"""What a file is, told by its first bytes; its name says nothing.

Only the kinds that :data:`srspace.images.formats.FORMATS` lists are ever given to a decoder. The others are known here
so that a refusal can name them. No other program is started for any of them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from srspace.images.containers.boxes import boxes

HEAD = 4096
"""Bytes of a file's beginning that tell what it is."""


@dataclass(frozen=True)
class Foreign:
    """A kind of file that is not read.

    Attributes:
        what: its name with an article.
        advice: how to make a picture of it.
        suffixes: file name endings by which a folder's files are told to be of that kind.
    """

    what: str
    advice: str
    suffixes: tuple[str, ...] = ()


_EDITOR = "save it as PNG or TIFF in the program that made it"
_TO_PNG = "convert it to PNG first, with ImageMagick for example"
RAW = Foreign(
    "a camera's raw file",
    "develop it first, with darktable, RawTherapee or dcraw for example, and save it as TIFF or PNG",
    (
        ".dng", ".nef", ".nrw", ".cr2", ".cr3", ".crw", ".arw", ".srf", ".sr2", ".raf", ".orf", ".rw2", ".raw", ".pef",
        ".ptx", ".srw", ".x3f", ".mrw", ".dcr", ".kdc", ".erf", ".mef", ".mos", ".iiq", ".3fr", ".fff", ".rwl", ".gpr",
    ),
)  # fmt: skip
PDF = Foreign("a PDF document", "convert the page to PNG first, with pdftoppm for example", (".pdf", ".ai"))
POSTSCRIPT = Foreign(
    "PostScript, a program and no picture", "convert it to PNG first, with Ghostscript for example",
    (".ps", ".eps", ".epsf", ".epsi"),
)  # fmt: skip
SVG = Foreign(
    "a vector drawing (SVG)", "draw it at the size that you need, with Inkscape or rsvg-convert for example",
    (".svg", ".svgz"),
)  # fmt: skip
PHOTOSHOP = Foreign("a Photoshop file", "save it as PNG or TIFF, in Photoshop, GIMP or Krita", (".psd", ".psb"))
ICON = Foreign(
    "an icon with pictures of several sizes", "save the one that you want as PNG", (".ico", ".cur", ".icns", ".ani")
)
HDR = Foreign("a picture of floating-point numbers", "save it as 16-bit TIFF or PNG", (".exr", ".hdr", ".pfm", ".phm"))
METAFILE = Foreign("a Windows metafile", "save it as PNG in the program that made it", (".wmf", ".emf", ".wmz", ".emz"))
JPEG_XR = Foreign("a JPEG XR picture", _TO_PNG, (".jxr", ".wdp", ".hdp"))
TEXTURE = Foreign("a texture for graphics cards", _TO_PNG, (".dds", ".ktx", ".ktx2", ".vtf", ".blp", ".pvr", ".astc"))
LAYERS = Foreign("a file of an image editor", _EDITOR, (".xcf", ".kra", ".clip", ".afphoto", ".pdn", ".sketch", ".ora"))
DOCUMENT = Foreign(
    "a scanned document (DjVu)", "convert the page to TIFF first, with ddjvu for example", (".djvu", ".djv")
)
SCIENCE = Foreign("a file of measurements", "save it as 16-bit TIFF or PNG", (".fits", ".fit", ".fts", ".dcm"))
RARE = Foreign(
    "a picture of a rare kind",
    _TO_PNG,
    (
        ".xbm", ".xpm", ".pcd", ".pict", ".pct", ".ras", ".mng", ".jng", ".wbmp", ".fli", ".flc", ".flif", ".bpg",
        ".xwd", ".iff", ".lbm", ".ilbm", ".msp", ".dcx", ".fpx", ".jls", ".jbig", ".jb2", ".dpx", ".cin", ".ff",
    ),
)  # fmt: skip
VIDEO = Foreign("a video", "take it apart into pictures first, with ffmpeg for example")
WEB_PAGE = Foreign("a web page", "save the picture itself")
ARCHIVE = Foreign("an archive", "unpack it first")

FOREIGN = (
    RAW, PDF, POSTSCRIPT, SVG, PHOTOSHOP, ICON, HDR, METAFILE, JPEG_XR, TEXTURE, LAYERS, DOCUMENT, SCIENCE, RARE, VIDEO,
    WEB_PAGE, ARCHIVE,
)  # fmt: skip

_READ: tuple[tuple[bytes, str], ...] = (
    (rb"\x89PNG\r\n\x1a\n", "png"),
    (rb"\xff\xd8\xff", "jpeg"),
    (rb"(?:II[*+]\0|MM\0[*+])", "tiff"),
    (rb"RIFF....WEBP", "webp"),
    (rb"GIF8[79]a", "gif"),
    (rb"BM.{12}[\x0c\x10\x28\x34\x38\x40\x6c\x7c]\0\0\0", "bmp"),
    (rb"(?:\x0c\0\0\0.{4}|[\x28\x34\x38\x6c\x7c]\0\0\0.{8})\x01\0[\x01\x04\x08\x10\x18\x20]\0", "bmp"),
    (rb"\0\0\0\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51", "jpeg2000"),
    (rb"\xff\x0a|\0\0\0\x0cJXL \r\n\x87\n", "jxl"),
    (rb"P[1-7][\s#]", "pnm"),
    (rb"qoif", "qoi"),
)
_FOREIGN: tuple[tuple[bytes, Foreign], ...] = (
    (rb"(?:II\*\0....CR|IIRO|IIRS|MMOR|IIU\0|FUJIFILMCCD-RAW|FOVb|\0MRM|II\x1a\0\0\0HEAPCCDR)", RAW),
    (rb"\s*%!|\xc5\xd0\xd3\xc6|\x1b%-12345X", POSTSCRIPT),
    (rb".{0,1024}?%PDF-", PDF),
    (rb"8BPS", PHOTOSHOP),
    (rb"\0\0[\x01\x02]\0[\x01-\xff]\0|icns", ICON),
    (rb"\x76\x2f\x31\x01|#\?RADIANCE|#\?RGBE|P[Ff][\s]", HDR),
    (rb"\xd7\xcd\xc6\x9a|\x01\0\0\0.{36} EMF", METAFILE),
    (rb"II\xbc", JPEG_XR),
    (rb"DDS |\xabKTX ", TEXTURE),
    (rb"gimp xcf|CSFCHUNK", LAYERS),
    (rb"AT&TFORM", DOCUMENT),
    (rb"SIMPLE  =|.{128}DICM", SCIENCE),
    (rb"/\* XPM|#define \S+_width|\x59\xa6\x6a\x95|[\x8a\x8b](?:MNG|JNG)\r\n", RARE),
    (rb"\x1aE\xdf\xa3|RIFF....AVI |FLV\x01|\0\0\x01[\xb3\xba]", VIDEO),
    (rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]*\?>\s*)?(?:<!--.*?-->\s*)*(?i:<!DOCTYPE svg|<svg)", SVG),
    (rb"(?:\xef\xbb\xbf)?\s*(?i:<!doctype html|<html)", WEB_PAGE),
    (rb"PK\x03\x04|\x1f\x8b|7z\xbc\xaf|Rar!|\xfd7zXZ", ARCHIVE),
)
_READ_PATTERNS = tuple((re.compile(pattern, re.DOTALL), name) for pattern, name in _READ)
_FOREIGN_PATTERNS = tuple((re.compile(pattern, re.DOTALL), kind) for pattern, kind in _FOREIGN)

_HEIC = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"}
_STILLS = {b"mif1", b"mif2", b"msf1", b"miaf"}


def recognized(head: bytes) -> str | Foreign | None:
    """What a file that begins so is: a name of :data:`srspace.images.formats.FORMATS`, a foreign kind, or None."""
    if head[4:8] == b"ftyp":
        return _media(head)
    for pattern, kind in _FOREIGN_PATTERNS[:1]:  # raw files that begin as a TIFF does
        if pattern.match(head):
            return kind
    for pattern, name in _READ_PATTERNS:
        if pattern.match(head):
            return name
    for pattern, kind in _FOREIGN_PATTERNS:
        if pattern.match(head):
            return kind
    if _is_pcx(head):
        return "pcx"
    if _is_sgi(head):
        return "sgi"
    return "tga" if _is_tga(head) else None


def foreign_by_suffix(suffix: str) -> Foreign | None:
    """The kind that is not read and whose files end so."""
    return next((kind for kind in FOREIGN if suffix.lower() in kind.suffixes), None)


def _media(head: bytes) -> str | Foreign:
    """By the brands of the ISO base media file format."""
    first = next(boxes(head), None)
    content = b"" if first is None else head[first.start : first.end]
    major, brands = content[:4], {content[i : i + 4] for i in range(8, len(content) - 3, 4)}
    if major in (b"avif", b"avis") or (major in _STILLS and brands & {b"avif", b"avis"}):
        return "avif"
    if major in _HEIC | _STILLS or (brands & _HEIC and major not in (b"isom", b"mp42", b"qt  ")):
        return "heic"
    return RAW if major == b"crx " else VIDEO


def _is_pcx(head: bytes) -> bool:
    return (
        len(head) >= 128 and head[0] == 10 and head[1] in (0, 2, 3, 4, 5) and head[2] == 1 and head[3] in (1, 2, 4, 8)
    )


def _is_sgi(head: bytes) -> bool:
    return head[:2] == b"\x01\xda" and len(head) >= 512 and head[2] in (0, 1) and head[3] in (1, 2)


def _is_tga(head: bytes) -> bool:
    """A TGA has no mark at its beginning; its header must make sense as a whole."""
    if len(head) < 18:
        return False
    palette, kind, depth, flags = head[1], head[2], head[16], head[17]
    size = int.from_bytes(head[12:14], "little"), int.from_bytes(head[14:16], "little")
    depths = {1: (8,), 2: (16, 24, 32), 3: (1, 8, 16), 9: (8,), 10: (16, 24, 32), 11: (1, 8, 16)}
    return palette in (0, 1) and depth in depths.get(kind, ()) and min(size) > 0 and not flags & 0xC0
