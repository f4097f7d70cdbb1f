"""ICC profiles: whether one fits, and making simple ones.

Reference: ICC.1:2022, "Image technology colour management: Architecture, profile format, and data structure".
"""

from __future__ import annotations

import io
import struct

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from srspace.images.colour.spaces import D65, Curve, Space

RGB, GREY, CMYK = "RGB", "GRAY", "CMYK"

_D50 = (0.9642, 1.0, 0.8249)
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
_MODES = {RGB: "RGB", GREY: "L", CMYK: "CMYK", "Lab": "LAB"}
_MOST = 32 * 2**20


def space_of(profile: bytes) -> str | None:
    """The colour space that a profile describes: ``RGB``, ``GRAY``, ``CMYK``, ...; None where it is damaged.

    It must be good enough for a conversion to sRGB.
    """
    if not 132 <= len(profile) <= _MOST or profile[36:40] != b"acsp":
        return None
    space = profile[16:20].decode("latin-1").strip()
    try:
        opened = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if space in _MODES:
            ImageCms.buildTransform(opened, ImageCms.createProfile("sRGB"), _MODES[space], "RGB")
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None
    return space


def name_of(profile: bytes) -> str:
    """What a profile is called."""
    try:
        return ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(profile))).strip()
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return "unnamed"


def is_srgb(profile: bytes) -> bool:
    """Whether an RGB profile shows every colour as sRGB does, to 2/255."""
    wheel = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    try:
        shown = ImageCms.profileToProfile(
            Image.fromarray(wheel), ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB")
        )
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return False
    return shown is not None and int(np.abs(np.asarray(shown).astype(int) - wheel).max()) <= 2


def of_space(space: Space, *, grey: bool = False) -> bytes:
    """A profile of an RGB colour space, or of the grey in it."""
    curve = _parametric(space.curve)
    tags = {b"desc": _text(space.name), b"cprt": _text("No copyright, use freely"), b"wtpt": _xyz(_D50)}
    tags[b"chad"] = b"sf32" + bytes(4) + _fixed(_adaptation(space.primaries[:2]).ravel())
    if grey:
        return _profile(b"GRAY", tags | {b"kTRC": curve})
    return _profile(b"RGB ", tags | _colorants(space.primaries) | dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve))


def grey_as_rgb(profile: bytes) -> bytes | None:
    """An RGB profile that shows R = G = B as a grey profile shows that grey; None where it has no simple curve."""
    curve = _tag(profile, b"kTRC")
    if curve is None or curve[:4] not in (b"curv", b"para"):
        return None
    tags = {b"desc": _text(f"{name_of(profile)} (grey, as RGB)"), b"cprt": _text("No copyright, use freely")}
    tags[b"wtpt"] = _xyz(_D50)
    primaries = (*D65, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)
    return _profile(b"RGB ", tags | _colorants(primaries) | dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve))


def _tag(profile: bytes, name: bytes) -> bytes | None:
    count = int.from_bytes(profile[128:132], "big")
    for i in range(min(count, 200)):
        kind, offset, length = struct.unpack(">4sII", profile[132 + 12 * i : 144 + 12 * i].ljust(12, b"\0"))
        if kind == name and offset + length <= len(profile):
            return profile[offset : offset + length]
    return None


def _profile(space: bytes, tags: dict[bytes, bytes]) -> bytes:
    table, body, start = struct.pack(">I", len(tags)), b"", 132 + 12 * len(tags)
    places: dict[bytes, int] = {}
    for name, data in tags.items():
        if data not in places:
            places[data] = start + len(body)
            body += data + bytes(-len(data) % 4)
        table += struct.pack(">4sII", name, places[data], len(data))
    size = start + len(body)
    head = struct.pack(">I4sI4s4s4s", size, bytes(4), 0x04400000, b"mntr", space, b"XYZ ")
    head += struct.pack(">6H4s", 2026, 1, 1, 0, 0, 0, b"acsp") + bytes(28) + _fixed(_D50)
    return head.ljust(128, b"\0") + table + body


def _colorants(primaries: tuple[float, ...]) -> dict[bytes, bytes]:
    matrix = _adaptation(primaries[:2]) @ _to_xyz(primaries)
    return {name: _xyz(matrix[:, i]) for i, name in enumerate((b"rXYZ", b"gXYZ", b"bXYZ"))}


def _to_xyz(primaries: tuple[float, ...]) -> NDArray[np.float64]:
    """From linear RGB to XYZ, white at Y = 1."""
    columns = np.stack([_of_xy(*primaries[i : i + 2]) for i in (2, 4, 6)], axis=1)
    return np.asarray(columns * np.linalg.solve(columns, _of_xy(*primaries[:2])))


def _adaptation(white: tuple[float, ...]) -> NDArray[np.float64]:
    """Bradford's matrix from a white point to D50."""
    gain = (_BRADFORD @ np.array(_D50)) / (_BRADFORD @ _of_xy(*white))
    return np.asarray(np.linalg.inv(_BRADFORD) @ np.diag(gain) @ _BRADFORD)


def _of_xy(x: float, y: float) -> NDArray[np.float64]:
    return np.array([x / y, 1.0, (1 - x - y) / y])


def _parametric(curve: Curve) -> bytes:
    simple = curve.d == 0
    values = (curve.gamma,) if simple else (curve.gamma, curve.a, curve.b, curve.c, curve.d)
    return b"para" + bytes(4) + struct.pack(">HH", 0 if simple else 3, 0) + _fixed(values)


def _text(words: str) -> bytes:
    text = words.encode("utf-16-be")
    return b"mluc" + bytes(4) + struct.pack(">II2s2sII", 1, 12, b"en", b"US", len(text), 28) + text


def _xyz(values: object) -> bytes:
    return b"XYZ " + bytes(4) + _fixed(values)


def _fixed(values: object) -> bytes:
    return np.round(np.asarray(values, np.float64) * 65536).astype(">i4").tobytes()
