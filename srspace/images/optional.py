"""Packages that read further formats, where they are installed: the extra ``formats``."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any

EXTRA = "formats"


@cache
def module(name: str) -> Any:
    """The module of that name; None where it is not installed, or cannot be loaded."""
    try:
        return import_module(name)
    except ImportError:
        return None


@cache
def is_installed(name: str) -> bool:
    """Whether there is a module of that name, without loading it."""
    return find_spec(name) is not None
