"""What every part of the reader raises about a file that is not whole."""

from __future__ import annotations


class DamagedError(Exception):
    """What is damaged or missing, to be read in brackets after "it is damaged or cut short"."""
