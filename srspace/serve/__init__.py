"""A small HTTP service: pictures in, pictures out. It needs the extra ``serve``."""

from __future__ import annotations

from collections.abc import Callable

from srspace.serve.settings import ServeSettings

__all__ = ["ServeSettings", "run"]


def run(settings: ServeSettings, listening: Callable[[str], None] = lambda address: None) -> None:
    """As :func:`srspace.serve.server.run`, which is loaded only now.

    Args:
        settings: of the service.
        listening: called with the address once it listens.

    Raises:
        MissingExtraError: what it needs is not installed.
        ResourceError: the address is taken, or the device is not there.
        SRSpaceError: the weights are not there.
    """
    from srspace.serve import server

    server.run(settings, listening)
