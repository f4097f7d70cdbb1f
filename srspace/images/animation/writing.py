"""From frames to a file, one after the other."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import replace
from types import TracebackType
from typing import Protocol

from srspace.images.formats import rules_of
from srspace.images.picture import Picture
from srspace.images.timing import Timing
from srspace.images.writers.apng import ApngWriter
from srspace.images.writers.contents import Contents
from srspace.images.writers.gif import GifWriter
from srspace.images.writers.webp import WebpWriter
from srspace.images.writing import Encoded, check_side, contents_of
from srspace.provenance import Provenance


class _Writer(Protocol):
    def add(self, contents: Contents) -> None: ...

    def finish(self) -> bytes: ...

    def close(self) -> None: ...


_WRITERS: dict[str, type[ApngWriter] | type[WebpWriter] | type[GifWriter]] = {
    "png": ApngWriter,
    "webp": WebpWriter,
    "gif": GifWriter,
}


class AnimationWriter(AbstractContextManager["AnimationWriter"]):
    """Takes the frames of an animation; only what has been compressed of them stays in memory.

    Args:
        format: ``png``, ``webp`` or ``gif``.
        timing: when frames are shown.
        provenance: mark the file as a result (XMP).
    """

    def __init__(self, format: str, timing: Timing, provenance: Provenance | None = None) -> None:
        self._format, self._mark = format, provenance
        self._writer: _Writer = _WRITERS[format](timing.durations, timing.plays)
        self._warnings: dict[str, None] = {}

    def add(self, picture: Picture) -> None:
        """Take a frame; all have one size, and all or none are transparent.

        Raises:
            OutputError: the format cannot hold pictures of this size.
        """
        check_side(self._format, picture.width, picture.height)
        contents, warnings = contents_of(replace(picture, grey=False), self._format, self._mark)
        self._warnings |= dict.fromkeys(warnings)
        self._writer.add(contents)

    def finish(self) -> Encoded:
        """The file, and what of the frames it does not hold."""
        return Encoded(self._writer.finish(), tuple(self._warnings))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close()


def holds_animations(format: str) -> bool:
    """Whether a format holds animations."""
    return rules_of(format).animated
