"""A small HTTP service: pictures in, pictures out. It needs the extra ``serve``."""

from srspace.serve.server import run
from srspace.serve.settings import ServeSettings

__all__ = ["ServeSettings", "run"]
