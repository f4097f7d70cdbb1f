"""Maps of where a picture's candidates differ, and what is done with candidates while they come."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from srspace.batch.candidates import candidate_writer, check_beside
from srspace.batch.inputs import Found, exists, is_folder
from srspace.errors import UsageError
from srspace.files import remove_leftovers
from srspace.images import Metadata, Picture, write_picture
from srspace.spread import Spread

if TYPE_CHECKING:
    from srspace.batch.plan import Job
    from srspace.batch.settings import BatchSettings
    from srspace.provenance import Provenance

FULL = 0.5
"""The deviation that white stands for; none can be larger between 0 and 1."""

_DESCRIPTION = (
    "Standard deviation of {count} candidates at each pixel, in 16 bits: {top} stands for {full}, where the picture's"
    " own values lie between 0 and 1."
)


def uncertainty_place(found: Sequence[Found], settings: BatchSettings) -> Callable[[Found], Path | None]:
    """Where maps go: from an input to a file, or to None where none are wanted.

    Args:
        found: all inputs.
        settings: of the run.

    Raises:
        UsageError: a file is named for several inputs, or one that is no PNG.
    """
    if settings.uncertainty is None:
        return lambda f: None
    place = Path(settings.uncertainty)
    if os.fspath(settings.uncertainty).endswith(("/", os.sep)) or is_folder(place) or not place.suffix:
        if exists(place) and not is_folder(place):
            raise UsageError(f"{place} is a file; it names no format, so maps of uncertainty need a folder.")
        return lambda f: place / f.folder / f"{'stdin' if f.path is None else f.path.name}_uncertainty.png"
    if place.suffix.lower() != ".png":
        raise UsageError(f"maps of uncertainty are written as PNG, so {place.name} will not do.")
    if len(found) != 1 or found[0].root is not None:
        raise UsageError(f"{place} is a file; maps of uncertainty of a folder or of several pictures need a folder.")
    return lambda f: place


def check_uncertainty(path: Path, settings: BatchSettings, mark: Provenance) -> None:
    """Find out before the work whether a map can be drawn and written.

    Raises:
        MissingExtraError: it is to be in colours, and matplotlib is not installed.
        OutputError: something else is there, or the folder cannot be written to.
    """
    if settings.uncertainty_style == "map":
        from srspace.batch.uncertainty_map import check_colours

        check_colours()
    check_beside(path, _marked(mark, settings), overwrite=settings.overwrite)
    remove_leftovers(path.parent)


class Candidates:
    """What is done with a picture's candidates beside making its result.

    Args:
        job: the picture's.
        settings: of the run.
        mark: of the result.
    """

    def __init__(self, job: Job, settings: BatchSettings, mark: Provenance) -> None:
        self._settings = settings
        self._write = None if job.candidates is None else candidate_writer(job.candidates, mark)
        self._spread = None if job.uncertainty is None else Spread()

    def take(self, index: int, candidate: Picture) -> None:
        """Take one, in order.

        Raises:
            OutputError: it cannot be written.
        """
        if self._write is not None:
            self._write(index, candidate)
        if self._spread is not None:
            self._spread.add(candidate.rgb)

    def uncertainty(self) -> Picture | None:
        """The map, once all are there; None where it is not wanted."""
        if self._spread is None:
            return None
        deviation, count = self._spread.deviation(), self._spread.count
        if self._settings.uncertainty_style == "map":
            from srspace.batch.uncertainty_map import drawn

            return drawn(deviation, count)
        return grey_map(deviation, count)


def write_uncertainty(picture: Picture, job: Job, settings: BatchSettings, mark: Provenance) -> None:
    """Write a map.

    Args:
        picture: the map.
        job: says where it goes.
        settings: of the run.
        mark: of the result.

    Raises:
        OutputError: it cannot be written.
    """
    if job.uncertainty is not None:
        write_picture(picture, job.uncertainty, "png", provenance=_marked(mark, settings))


def grey_map(deviation: NDArray[np.float32], count: int) -> Picture:
    """The deviation of candidates as a grey picture of 16 bits, which tells what its numbers stand for.

    Args:
        deviation: ``(H, W)``, as :meth:`srspace.spread.Spread.deviation` gives it.
        count: how many candidates there were.
    """
    texts = (
        ("Description", _DESCRIPTION.format(count=count, top=2**16 - 1, full=FULL)),
        ("srspace-deviation-of-white", str(FULL)),
    )
    rgb = np.repeat(deviation[..., None] / np.float32(FULL), 3, axis=2)
    return Picture(rgb, bit_depth=16, grey=True, metadata=Metadata(texts=texts))


def _marked(mark: Provenance, settings: BatchSettings) -> Provenance:
    return replace(mark, settings=mark.settings | {"uncertainty": settings.uncertainty_style})
