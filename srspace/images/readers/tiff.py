"""TIFF, decoded by libvips; by Pillow, at 8 bits, where libvips lacks the kind of coding."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from srspace.images import libvips
from srspace.images.colour import Colour, conversion
from srspace.images.containers import DamagedError, tiff, tiff_writing
from srspace.images.containers.tiff import Directory, Entry, Tree
from srspace.images.kinds import RAW
from srspace.images.metadata import Packets, exif, photoshop
from srspace.images.quiet import standard_error_to_log
from srspace.images.readers.decoded import Decoded, ForeignError, UnsupportedError, check_pixels, unsupported_samples

SUB_IFD, DNG_VERSION, SUBFILE = 0x014A, 0xC612, 0x00FE
BITS, COMPRESSION, PHOTOMETRIC, PLANAR, EXTRA, TILE_WIDTH = 0x0102, 0x0103, 0x0106, 0x011C, 0x0152, 0x0142
_CHANNELS, _SAMPLE_FORMAT = 0x0115, 0x0153
_STORAGE = {
    *range(0x0100, 0x0104), 0x0106, 0x010A, 0x0111, _CHANNELS, *range(0x0116, 0x011A), PLANAR, 0x0124, 0x0125, 0x013D,
    0x0140, *range(0x0142, 0x0146), 0x014C, EXTRA, *range(0x0153, 0x0156), 0x015B, *range(0x0211, 0x0215), 0x80E3,
}  # fmt: skip
XMP, IPTC, RESOURCES, ICC = 0x02BC, 0x83BB, 0x8649, 0x8773
CHILDREN = exif.CHILDREN | {SUB_IFD: ()}

_SEPARATED, _LAB = 5, 8
_COLOURS = {0: 1, 1: 1, 2: 3, 3: 1, _SEPARATED: 4, 6: 3}
_RAW_PHOTOMETRICS, _RAW_COMPRESSIONS = {32803, 34892}, {32767, 34713, 65000, 65535}
_CODINGS = {6: "old-style JPEG compression", 34925: "LZMA compression", 50000: "Zstandard compression"}


def read(data: bytes, max_pixels: int) -> Decoded:
    """Decode the first page of a file.

    Raises:
        ForeignError: it is a camera's raw file.
        UnsupportedError: it is too large, or of another depth or number of channels.
        DamagedError: it is damaged.
    """
    tree = tiff.parse(data, CHILDREN)
    first = tree.chain[0]
    if _is_raw(tree):
        raise ForeignError(RAW)
    check_pixels(tree.number(first, exif.IMAGE_WIDTH), tree.number(first, exif.IMAGE_HEIGHT), max_pixels)
    warnings: list[str] = []
    colour, packets = described(tree, warnings)
    samples, top, depth = _by_pillow(data, tree) if _is_for_pillow(tree) else _by_libvips(data, tree, warnings)
    if tree.number(first, PHOTOMETRIC) == _SEPARATED:
        if samples.shape[2] != 4:
            raise UnsupportedError(f"{samples.shape[2]} channels of ink; 4 are handled")
        samples, said = conversion.inks_to_srgb(samples, colour.icc_profile)
        warnings.extend(said)
        colour = Colour()
    elif tree.number(first, PHOTOMETRIC) == _LAB:
        colour = Colour()
    if samples.shape[2] > 4:
        raise UnsupportedError(f"{samples.shape[2]} channels; grey and RGB are handled, each with or without alpha")
    pages = sum(not tree.number(page, SUBFILE) & 1 for page in tree.chain)
    if pages > 1:
        warnings.append(f"it holds {pages} pages, of which the first was taken.")
    return Decoded(samples, top, depth, colour, packets, tuple(warnings))


def described(tree: Tree, warnings: list[str]) -> tuple[Colour, Packets]:
    """What the first directory tells beside how samples are stored."""
    first = tree.chain[0]
    resources = first.entries.get(RESOURCES)
    iptc = first.entries.get(IPTC)
    if exif.has_maker_notes(tree):
        warnings.append("its maker notes were left out: they cannot be moved.")
    packets = Packets(
        exif=exif.of_tiff(tree),
        orientation=tree.number(first, exif.ORIENTATION, 1),
        xmp=first.entries[XMP].data if XMP in first.entries else None,
        iptc=(iptc.data if iptc is not None else None)
        or (photoshop.iptc_of(resources.data) if resources is not None else None),
        dpi=exif.resolution(tree, first),
    )
    return Colour(first.entries[ICC].data if ICC in first.entries else None), packets


def _is_raw(tree: Tree) -> bool:
    first = tree.chain[0]
    if DNG_VERSION in first.entries:
        return True
    every = [*tree.chain, *(child for page in tree.chain for child in page.children.get(SUB_IFD, []))]
    return any(
        tree.number(page, PHOTOMETRIC) in _RAW_PHOTOMETRICS or tree.number(page, COMPRESSION) in _RAW_COMPRESSIONS
        for page in every
    )


def _is_for_pillow(tree: Tree) -> bool:
    first = tree.chain[0]
    tiled_planes = TILE_WIDTH in first.entries and tree.number(first, PLANAR, 1) == 2
    odd = tree.number(first, COMPRESSION, 1) in _CODINGS or tree.number(first, PHOTOMETRIC) == _LAB or tiled_planes
    deep = max(tree.numbers(first, BITS), default=1.0)
    if odd and deep > 8:
        what = _CODINGS.get(tree.number(first, COMPRESSION, 1), "a rare kind of coding")
        advice = "convert it first, with tiffcp -c zip for example"
        raise UnsupportedError(f"{what} at {deep:.0f} bits a sample, which is not handled; {advice}")
    return odd or deep == 12


def _by_libvips(data: bytes, tree: Tree, warnings: list[str]) -> tuple[NDArray[Any], int, int]:
    _check_extent(data, tree)
    bare = tiff_writing.with_directory(data, tree, _bare(tree))
    # At "error", libvips lets damaged tiles pass.
    image = libvips.load().Image.tiffload_buffer(bare, fail_on="warning")
    if image.format not in ("uchar", "ushort"):
        raise unsupported_samples(image.format)
    deep = image.format == "ushort"
    colours = 1 if image.interpretation in ("b-w", "grey16") else 4 if image.interpretation == "cmyk" else 3
    if image.interpretation not in ("rgb16", "grey16", "multiband", "b-w", "rgb", "srgb", "cmyk"):
        image = image.colourspace("rgb16" if deep else "srgb")
    extra = tree.numbers(tree.chain[0], EXTRA)
    if image.bands == colours + 1 and (not extra or extra[0] not in (1, 2)):
        warnings.append("its last channel, of unspecified meaning, was taken for transparency.")
    return libvips.samples(image), 65535 if deep else 255, 16 if deep else 8


def _check_extent(data: bytes, tree: Tree) -> None:
    """Whether all strips or tiles lie inside the file; libtiff would read on in what is put behind it here."""
    first = tree.chain[0]
    for offsets, counts in ((0x0111, 0x0117), (0x0144, 0x0145)):
        starts, lengths = tree.numbers(first, offsets), tree.numbers(first, counts)
        if len(starts) != len(lengths):
            raise DamagedError("it does not tell how long its strips are")
        if any(start + length > len(data) for start, length in zip(starts, lengths, strict=True)):
            raise DamagedError("the file ends before its last strip")


def _bare(tree: Tree) -> Directory:
    """What of the first directory tells how samples are stored, without a word that libtiff might warn about."""
    first = tree.chain[0]
    entries = {tag: entry for tag, entry in first.entries.items() if tag in _STORAGE}
    for tag in (BITS, _SAMPLE_FORMAT):  # one for each channel, of which some programs write too few or too many
        values = tree.numbers(first, tag)
        count = tree.number(first, _CHANNELS, 1)
        if values and len(values) != count <= 16:
            shorts = [tree.short(int(v)).data for v in (*values, *[values[-1]] * count)[:count]]
            entries[tag] = Entry(tiff.SHORT, b"".join(shorts))
    colours = _COLOURS.get(tree.number(first, PHOTOMETRIC), 0)
    extra = tree.number(first, _CHANNELS, 1) - colours
    if colours and 0 < extra <= 16 and EXTRA not in first.entries:
        entries[EXTRA] = Entry(tiff.SHORT, bytes(2 * extra))
    return Directory(entries)


def _by_pillow(data: bytes, tree: Tree) -> tuple[NDArray[Any], int, int]:
    with standard_error_to_log(), Image.open(io.BytesIO(data), formats=["TIFF"]) as file:
        file.load()
        image: Image.Image = file
        if image.mode.startswith("I;16"):
            return np.asarray(image, np.uint16)[..., None], 4095, 12
        if image.mode == "LAB":
            return np.asarray(conversion.lab_to_srgb(image)), 255, 8
        if image.mode not in ("L", "LA", "RGB", "RGBA", "CMYK"):
            image = image.convert("RGBA" if image.mode in ("PA", "RGBa") else "L" if image.mode == "1" else "RGB")
        samples = np.asarray(image)
    return samples.reshape(*samples.shape[:2], -1), 255, 8
