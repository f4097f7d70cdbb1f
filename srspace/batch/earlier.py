"""Telling the results of earlier runs from inputs, by the mark that they carry."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from srspace.batch.inputs import Found, real
from srspace.batch.settings import BatchSettings
from srspace.errors import EarlierResultsError
from srspace.images import Header, read_header
from srspace.provenance import source_key


class Headers:
    """Headers of picture files, each read when it is first asked for, and never again."""

    def __init__(self) -> None:
        self._known: dict[Path, Header | None] = {}

    def of(self, path: Path) -> Header | None:
        """As :func:`srspace.images.read_header`."""
        if path not in self._known:
            self._known[path] = read_header(path)
        return self._known[path]


class EarlierResults:
    """Which inputs are left out: pictures with this program's mark, under one of two conditions.

    What the picture was made from is among the inputs, or it was found in a folder that this run writes to. A picture
    that is the only one named is never left out.

    Args:
        found: all inputs.
        settings: say where this run writes.
        headers: where marks are looked up.
    """

    def __init__(self, found: Sequence[Found], settings: BatchSettings, headers: Headers) -> None:
        self._found, self._headers = found, headers
        self._alone = len(found) == 1 and found[0].root is None
        self._by_key = {source_key(f.path): f.path for f in found if f.path is not None}
        self._beside = settings.output is None
        self._written = [real(Path(p)) for p in (settings.output, settings.save_samples) if p is not None]

    def reason(self, found: Found) -> str | None:
        """Why an input is left out; None when it is not."""
        if self._alone or found.path is None or found.problem is not None:
            return None
        header = self._headers.of(found.path)
        if header is None or header.provenance is None:
            return None
        source = self._by_key.get(header.provenance.source)
        if source is not None and source != found.path:
            return f"it was made from {source.name}"
        here = real(found.path)
        if found.root is not None and (self._beside or any(here.is_relative_to(f) for f in self._written)):
            return "it is an earlier result in the folder that results go to"
        return None

    def left(self, most: int | None = None) -> list[Found]:
        """The inputs that are not left out, or the first ``most`` of them, looking no further.

        Raises:
            EarlierResultsError: there is none.
        """
        left: list[Found] = []
        for found in self._found:
            if len(left) == most:
                break
            if self.reason(found) is None:
                left.append(found)
        if not left:
            raise EarlierResultsError
        return left
