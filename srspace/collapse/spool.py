"""Candidates as whole pictures, gathered tile by tile and handed out in order."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from types import TracebackType
from typing import IO

import numpy as np
import torch
from torch import Tensor

from srspace.devices import available_memory, used_memory
from srspace.errors import ResourceError
from srspace.modes import SinkMaker, TileInputs
from srspace.sampling import Tile

_CPU = torch.device("cpu")


class Spool:
    """Room for N pictures: in memory, or in a temporary file when they would take more than a quarter of it.

    It is filled through one more sink beside the one that makes the result::

        with Spool(count, height, width) as spool:
            picture, _ = sampler.collapse_all([maker, spool.maker])
            for index, candidate in enumerate(spool):
                ...

    Candidates are final only when all tiles are done, for a candidate that breaks in the last tile is replaced in the
    first one as well.

    Args:
        count: N.
        height: of the pictures.
        width: likewise.
        limit: bytes that the process may take (None: what is free).

    Raises:
        ResourceError: there is no room for the temporary file.
    """

    def __init__(self, count: int, height: int, width: int, *, limit: int | None = None) -> None:
        self.count, self.shape = count, (3, height, width)
        self._bytes = 4 * 3 * height * width
        free = available_memory(_CPU)
        if limit is not None:
            free = min(free, limit - used_memory(_CPU))
        self._memory: np.ndarray | None = None
        self._file: IO[bytes] | None = None
        if count * self._bytes <= max(0, free) / 4:
            with suppress(MemoryError):
                self._memory = np.empty((count, *self.shape), np.float32)
        if self._memory is None:
            self._file = _file_of(count * self._bytes)

    def __enter__(self) -> Spool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._memory = None
        if self._file is not None:
            self._file.close()
            self._file = None

    @property
    def maker(self) -> SinkMaker:
        """Makes the sinks that fill it; their results have no channels, for the pictures are here."""
        return SinkMaker(self.count, lambda inputs: _SpoolSink(self, inputs), pictures=0 if self._file else self.count)

    def __iter__(self) -> Iterator[Tensor]:
        """The candidates in order, ``(3, H, W)`` float32 in [0, 1] on the CPU."""
        for index in range(self.count):
            yield self._picture(index).clone()

    def put(self, index: int, outer: Tensor, tile: Tile, scale: int) -> None:
        """Put a tile of a candidate to its place; ``outer`` holds its margins, too."""
        tile.put(outer, self._picture(index), scale)

    def _picture(self, index: int) -> Tensor:
        if self._memory is not None:
            return torch.from_numpy(self._memory[index])
        if self._file is None:
            raise ValueError("the spool is closed")
        # Mapped for one use at a time: what stays mapped counts as memory of this process.
        return torch.from_numpy(np.memmap(self._file, np.float32, "r+", index * self._bytes, self.shape))


class _SpoolSink:
    """Takes the candidates of one tile to a spool."""

    def __init__(self, spool: Spool, inputs: TileInputs) -> None:
        self.spool, self.tile, self.scale = spool, inputs.tile, inputs.scale
        self._empty = inputs.lr.new_empty(0, *(side * inputs.scale for side in inputs.lr.shape[1:]))

    def add(self, indices: Sequence[int], images: Tensor) -> None:
        for index, image in zip(indices, images.cpu(), strict=True):
            self.spool.put(index, image, self.tile, self.scale)

    def result(self) -> Tensor:
        return self._empty


def _file_of(size: int) -> IO[bytes]:
    """A temporary file that has its place on the disk, so that it cannot run full later."""
    try:
        file = tempfile.TemporaryFile()  # noqa: SIM115  closed by the spool
    except OSError as error:
        raise _no_room(size, error) from error
    try:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, size)
        else:
            file.truncate(size)
    except OSError as error:
        file.close()
        raise _no_room(size, error) from error
    return file


def _no_room(size: int, error: OSError) -> ResourceError:
    folder = tempfile.gettempdir()
    return ResourceError(f"{folder} has no room for {size / 2**30:.2g} GiB of candidates: {error.strerror or error}.")
