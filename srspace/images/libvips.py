"""libvips, set up for batches and for files from anywhere."""

from __future__ import annotations

import logging
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray


@cache
def load() -> Any:
    """The module pyvips.

    Its warnings about files go to the log ``pyvips``, and nowhere when nobody listens to that.
    """
    logging.getLogger("pyvips").addHandler(logging.NullHandler())
    import pyvips

    pyvips.cache_set_max(0)  # its cache would keep the pictures of a whole batch in memory
    return pyvips


def samples(image: Any) -> NDArray[Any]:
    """All samples of an image, ``(H, W, C)``, decoded now.

    Raises:
        pyvips.Error: they cannot be decoded.
    """
    shape = (image.height, image.width, image.bands)  # each question to libvips takes a while
    kind = load().vimage.FORMAT_TO_TYPESTR[image.format]
    return np.frombuffer(image.write_to_memory(), kind).reshape(shape)


def field(image: Any, name: str) -> Any:
    """A field of an image's header, or None."""
    return image.get(name) if image.get_typeof(name) else None


def blob(image: Any, name: str) -> bytes | None:
    """A field that holds bytes, or None."""
    value = field(image, name)
    return None if value is None else bytes(value)
