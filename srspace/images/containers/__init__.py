"""The outer structure of files: chunks, segments, boxes and directories, without any pixel."""

from srspace.images.containers.damage import DamagedError

__all__ = ["DamagedError"]
