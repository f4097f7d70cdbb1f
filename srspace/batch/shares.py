"""Shares of progress: of a whole, by those who know only of a part."""

from __future__ import annotations

from collections.abc import Callable


def part(progress: Callable[[float], None] | None, start: float, end: float) -> Callable[[float], None] | None:
    """What one part of some work is to call, for ``progress`` to be called with the share done of the whole.

    >>> part(print, 0.25, 0.75)(0.5)
    0.5

    Args:
        progress: called with a share of the whole, from 0 to 1; or None.
        start: share of the whole that is done before the part.
        end: likewise after it.

    Returns:
        What takes a share of the part; None where there is nobody to call.
    """
    if progress is None:
        return None
    # Both ends come out exactly, so that the last part ends the whole.
    return lambda share: progress((1 - share) * start + share * end)
