"""The settings of a service."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from srspace.config import AUTO_WEIGHTS
from srspace.errors import TokenError, UsageError


@dataclass(frozen=True)
class ServeSettings:
    """How a service listens, and what it allows.

    Attributes:
        host: address to listen on.
        port: to listen on; 0 stands for any that is free.
        token: that requests must carry; None for a service of this machine alone.
        weights: as of :class:`srspace.batch.BatchSettings`.
        device: likewise.
        precision: likewise.
        tile: as of :class:`srspace.config.SamplingConfig`.
        max_memory: likewise.
        queue: pictures that are accepted at a time, those at work included.
        max_upload: largest file, in bytes.
        max_pixels: largest picture; of an animation, largest frame.
        timeout: seconds that a picture may take, waiting included.
        keep: seconds that the result of a job stays.
        kept: jobs that stay at most, with their results.
        grace: seconds that pictures at work have when the service is told to stop.

    Raises:
        TokenError: the address can be reached from elsewhere, and there is no token.
        UsageError: a number is out of range.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    token: str | None = None
    weights: str = AUTO_WEIGHTS
    device: str = "auto"
    precision: str = "auto"
    tile: int | None = None
    max_memory: int | None = None
    queue: int = 16
    max_upload: int = 50_000_000
    max_pixels: int = 16_000_000
    timeout: float = 300.0
    keep: float = 600.0
    kept: int = 64
    grace: float = 30.0

    def __post_init__(self) -> None:
        if self.token is not None and len(self.token) < 8:
            raise UsageError("a token must have at least 8 characters.")
        if self.token is None and not self.local:
            raise TokenError(self.host)
        if not 0 <= self.port < 2**16:
            raise UsageError(f"the port must lie between 0 and 65535, not {self.port}.")
        for name in ("queue", "max_upload", "max_pixels", "timeout", "keep", "kept", "grace"):
            if not getattr(self, name) > 0:
                raise UsageError(f"the {name.replace('_', ' ')} must be above 0, not {getattr(self, name):g}.")

    @property
    def local(self) -> bool:
        """Whether the address is reached from this machine alone."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False
