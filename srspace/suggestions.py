"""Near misses: what somebody may have meant by a name that does not exist."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A remark for the end of an error message, or nothing where no known name is close.

    >>> did_you_mean("fusion-lpip", ["mean", "fusion-lpips"])
    ' (did you mean fusion-lpips?)'
    >>> did_you_mean("nothing", ["mean", "fusion-lpips"])
    ''
    """
    near = difflib.get_close_matches(name.lower(), known, 1)
    return f" (did you mean {near[0]}?)" if near else ""
