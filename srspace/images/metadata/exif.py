"""EXIF: what it tells of the pixels, and how it goes into a result.

A result gets it with the orientation reset, sizes updated and the thumbnail dropped. Everything else keeps its type and
bytes; maker notes also keep their place, because they refer to themselves by offsets.

Reference: CIPA DC-008-2023, "Exchangeable image file format for digital still cameras: Exif Version 3.0".
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from srspace.images.containers import DamagedError, tiff, tiff_writing
from srspace.images.containers.tiff import Directory, Entry, Tree

EXIF_IFD, GPS_IFD, INTEROPERABILITY_IFD, MAKER_NOTE = 0x8769, 0x8825, 0xA005, 0x927C
CHILDREN = {EXIF_IFD: (INTEROPERABILITY_IFD,), GPS_IFD: (), INTEROPERABILITY_IFD: ()}
ORIENTATION, X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT = 0x0112, 0x011A, 0x011B, 0x0128
IMAGE_WIDTH, IMAGE_HEIGHT, PIXEL_WIDTH, PIXEL_HEIGHT, COLOUR_SPACE = 0x0100, 0x0101, 0xA002, 0xA003, 0xA001

_PER_INCH = {2: 1.0, 3: 2.54}
# What of a TIFF file's first directory describes the picture and not how its samples are stored.
_DESCRIPTIVE = {
    0x010D, 0x010E, 0x010F, 0x0110, 0x0131, 0x0132, 0x013B, 0x013C, 0x4746, 0x4749, 0x8298, 0x9C9B, 0x9C9C, 0x9C9D,
    0x9C9E, 0x9C9F,
}  # fmt: skip
_STORAGE = {  # and the other way round: what a camera may repeat in EXIF, and what must not be written beside samples
    0x00FE, 0x00FF, 0x0100, 0x0101, 0x0102, 0x0103, 0x0106, 0x0111, 0x0115, 0x0116, 0x0117, 0x011C, 0x0142, 0x0143,
    0x0144, 0x0145, 0x0152, 0x0153, 0x0201, 0x0202, 0x0212, 0x02BC, 0x83BB, 0x8649, 0x8773,
}  # fmt: skip


@dataclass(frozen=True)
class Told:
    """What EXIF tells of the pixels.

    Attributes:
        orientation: 1 to 8.
        adobe_rgb: whether their colour space is Adobe RGB (interoperability R03, or colour space 2).
        dpi: pixels per inch, horizontally and vertically; None where it does not tell.
    """

    orientation: int = 1
    adobe_rgb: bool = False
    dpi: tuple[float, float] | None = None


def parse(packet: bytes) -> Tree:
    """Read EXIF, with or without ``Exif`` in front of it.

    Raises:
        DamagedError: it has no directory.
    """
    tree = tiff.parse(packet.removeprefix(b"Exif\0\0"), CHILDREN)
    first = tree.chain[0]
    if not first.entries and not first.children:
        raise DamagedError("it is empty")
    return tree


def of_tiff(tree: Tree) -> bytes | None:
    """EXIF made of what a TIFF file's first directory tells of the picture; None where it tells nothing.

    Maker notes are left out: they would have to stay where they were in the file.
    """
    first = tree.chain[0]
    picture = Directory({tag: e for tag, e in first.entries.items() if tag in _DESCRIPTIVE and e.type < 16})
    for tag in (EXIF_IFD, GPS_IFD):
        for child in first.children.get(tag, [])[:1]:
            entries = {t: e for t, e in child.entries.items() if t != MAKER_NOTE and e.type < 16}
            picture.children[tag] = [Directory(entries, child.children)]
    if not picture.entries and not picture.children:
        return None
    return tiff_writing.serialized(Tree(tree.order, [picture]))


def has_maker_notes(tree: Tree) -> bool:
    """Whether there are maker notes."""
    return any(MAKER_NOTE in child.entries for child in tree.chain[0].children.get(EXIF_IFD, []))


def told(tree: Tree) -> Told:
    """What EXIF, or the first directory of a TIFF file, tells of the pixels."""
    first = tree.chain[0]
    orientation = tree.number(first, ORIENTATION, 1)
    inner = first.children.get(EXIF_IFD, [Directory()])[0]
    interoperability = inner.children.get(INTEROPERABILITY_IFD, [Directory()])[0].entries.get(1)
    r03 = interoperability is not None and interoperability.data.startswith(b"R03")
    space = tree.number(inner, COLOUR_SPACE)
    return Told(
        orientation if 1 <= orientation <= 8 else 1, space == 2 or (r03 and space != 1), resolution(tree, first)
    )


def resolution(tree: Tree, directory: Directory) -> tuple[float, float] | None:
    """Pixels per inch that a directory tells; None where it does not, or gives a ratio alone."""
    x, y = (tree.numbers(directory, tag) for tag in (X_RESOLUTION, Y_RESOLUTION))
    factor = _PER_INCH.get(tree.number(directory, RESOLUTION_UNIT, 2))
    if not x or factor is None or not 0 < x[0] < 1e6:
        return None
    return x[0] * factor, (y[0] if y and 0 < y[0] < 1e6 else x[0]) * factor


def for_result(packet: bytes, width: int, height: int, dpi: tuple[float, float] | None) -> bytes:
    """EXIF as a result of that size carries it."""
    tree = parse(packet)
    first = tree.chain[0]
    if ORIENTATION in first.entries:
        first.entries[ORIENTATION] = tree.short(1)
    for directory, across, down in (
        (first, IMAGE_WIDTH, IMAGE_HEIGHT),
        *((child, PIXEL_WIDTH, PIXEL_HEIGHT) for child in first.children.get(EXIF_IFD, [])),
    ):
        for tag, side in ((across, width), (down, height)):
            if tag in directory.entries:
                directory.entries[tag] = tree.whole(side)
    if dpi is not None:
        _set_resolution(tree, first, dpi)
    return tiff_writing.serialized(tree, pinned=MAKER_NOTE)


def of_resolution(dpi: tuple[float, float]) -> bytes:
    """EXIF that tells the resolution alone."""
    tree = Tree("<", [Directory()])
    _set_resolution(tree, tree.chain[0], dpi)
    return tiff_writing.serialized(tree)


def without_gps(packet: bytes) -> bytes | None:
    """The same without the place; None where nothing is left."""
    tree = parse(packet)
    first = tree.chain[0]
    first.children.pop(GPS_IFD, None)
    first.entries.pop(GPS_IFD, None)
    if not first.entries and not first.children:
        return None
    return tiff_writing.serialized(tree, pinned=MAKER_NOTE)


def without_maker_notes(packet: bytes) -> bytes:
    """The same without maker notes, which may be most of it."""
    tree = parse(packet)
    for child in tree.chain[0].children.get(EXIF_IFD, []):
        child.entries.pop(MAKER_NOTE, None)
    return tiff_writing.serialized(tree)


def for_tiff(packet: bytes, order: tiff.Order) -> Directory:
    """What goes into the first directory of a TIFF file, in its byte order; without maker notes, as above."""
    tree = parse(without_maker_notes(packet))
    first = tiff_writing.reordered(tree.chain[0], tree.order, order)
    entries = {tag: e for tag, e in first.entries.items() if tag not in _STORAGE and e.type < 16}
    return replace(first, entries=entries)


def _set_resolution(tree: Tree, directory: Directory, dpi: tuple[float, float]) -> None:
    values: dict[int, Entry] = {
        X_RESOLUTION: tree.ratio(dpi[0]),
        Y_RESOLUTION: tree.ratio(dpi[1]),
        RESOLUTION_UNIT: tree.short(2),
    }
    directory.entries |= values
