"""Photoshop's image resources in JPEG and TIFF files, of which IPTC is one.

Reference: Adobe, "Photoshop File Formats Specification"; IPTC, "IIM Version 4.2".
"""

from __future__ import annotations

import struct

_IPTC = 0x0404


def iptc_of(resources: bytes) -> bytes | None:
    """The IPTC data among image resources; None where there are none."""
    position = 0
    while resources[position : position + 4] == b"8BIM" and position + 12 <= len(resources):
        (kind,) = struct.unpack(">H", resources[position + 4 : position + 6])
        start = position + 6 + (resources[position + 6] // 2 + 1) * 2
        length = int.from_bytes(resources[start : start + 4], "big")
        content = resources[start + 4 : start + 4 + length]
        if len(content) < length:
            return None
        if kind == _IPTC and sound(content):
            return content
        position = start + 4 + length + length % 2
    return None


def resources_of(iptc: bytes) -> bytes:
    """Image resources that hold IPTC data alone."""
    return b"8BIM" + struct.pack(">HHI", _IPTC, 0, len(iptc)) + iptc + b"\0" * (len(iptc) % 2)


def sound(iptc: bytes) -> bool:
    """Whether data begin as IPTC data do."""
    return iptc[:1] == b"\x1c"
