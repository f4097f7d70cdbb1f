"""Listening until told to stop."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from srspace.errors import MissingExtraError, ResourceError
from srspace.serve.settings import ServeSettings

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def run(settings: ServeSettings, listening: Callable[[str], None] = lambda address: None) -> None:
    """Serve until the process is told to stop (SIGINT, SIGTERM): then pictures at work are finished.

    Args:
        settings: of the service.
        listening: called with the address once it listens.

    Raises:
        MissingExtraError: what it needs is not installed.
        ResourceError: the address is taken, or the device is not there.
        SRSpaceError: the weights are not there.
    """
    try:
        import uvicorn

        from srspace.serve.app import create_app
    except ImportError as error:
        raise MissingExtraError("the service", str(error.name), "serve") from error
    from srspace.serve.studio import Studio

    class Server(uvicorn.Server):
        @contextmanager
        def capture_signals(self) -> Iterator[None]:
            loop = asyncio.get_running_loop()
            for number in _SIGNALS:
                loop.add_signal_handler(number, self.handle_exit, number, None)
            yield
            for number in _SIGNALS:
                loop.remove_signal_handler(number)

    with _bound(settings) as listener:
        app = create_app(settings, Studio(settings))
        config = uvicorn.Config(
            app, http="h11", loop="asyncio", ws="none", log_level="warning", access_log=False, server_header=False,
            timeout_graceful_shutdown=max(1, round(settings.grace)),
        )  # fmt: skip
        server = Server(config)
        host, port = listener.getsockname()[:2]
        listening(f"http://{f'[{host}]' if ':' in host else host}:{port}")
        server.run(sockets=[listener])


@contextmanager
def _bound(settings: ServeSettings) -> Iterator[socket.socket]:
    """A socket at the address, before weights are loaded."""
    try:
        family, _, _, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(128)
    except OSError as error:
        raise ResourceError(
            f"{settings.host}:{settings.port} cannot be listened on: {error.strerror or error}."
        ) from error
    with listener:
        yield listener
