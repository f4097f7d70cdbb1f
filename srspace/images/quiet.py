"""Decoders warn about what is wrong with a file; here that is either put right or told as an error."""

from __future__ import annotations

import logging
import os
import tempfile
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import ImageFile

_lock = threading.Lock()
_inside = 0
_outer: warnings.catch_warnings[None] | None = None
_tolerant = False
_standard_error = threading.Lock()

logger = logging.getLogger(__name__)


@contextmanager
def no_warnings() -> Iterator[None]:
    """Ignore warnings, and let Pillow pad no file that is cut short, from several threads at once, too.

    ``warnings.catch_warnings`` alone is for one thread: two that leave it in another order than they entered it would
    switch warnings off for good.
    """
    global _inside, _outer, _tolerant
    with _lock:
        if _inside == 0:
            _outer = warnings.catch_warnings(action="ignore")
            _outer.__enter__()
            _tolerant, ImageFile.LOAD_TRUNCATED_IMAGES = ImageFile.LOAD_TRUNCATED_IMAGES, False
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0 and _outer is not None:
                ImageFile.LOAD_TRUNCATED_IMAGES = _tolerant
                _outer.__exit__(None, None, None)
                _outer = None


@contextmanager
def standard_error_to_log() -> Iterator[None]:
    """Send what libraries in C write to standard error to the log instead.

    It holds for the whole process, so it is only put round decoders that are known to write there.
    """
    with _standard_error, tempfile.TemporaryFile() as caught:
        try:
            kept = os.dup(2)
        except OSError:  # it is closed
            yield
            return
        os.dup2(caught.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            caught.seek(0)
            for line in caught.read().decode("utf-8", "replace").splitlines()[:100]:
                logger.debug("%s", line)
