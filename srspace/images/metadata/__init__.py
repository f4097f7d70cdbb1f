"""Metadata: EXIF, XMP, IPTC, resolution and texts, from file to file."""

from srspace.images.metadata.description import COMMENT, Metadata
from srspace.images.metadata.gathering import Gathered, Packets, gathered
from srspace.images.metadata.outgoing import Outgoing, Room, outgoing

__all__ = ["COMMENT", "Gathered", "Metadata", "Outgoing", "Packets", "Room", "gathered", "outgoing"]
