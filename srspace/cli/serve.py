"""``srspace serve``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from srspace.cli import options
from srspace.cli.failures import EXIT_OK
from srspace.cli.options import IO, option, takes
from srspace.config import AUTO_WEIGHTS, parse_memory

LIMITS = "Limits"


@dataclass(frozen=True)
class Options:
    """What ``srspace serve`` is told."""

    host: Annotated[str, option("--host", panel=IO, metavar="NAME", help="Address to listen on.")] = "127.0.0.1"
    port: Annotated[int, option("--port", panel=IO, metavar="N", help="Port to listen on; 0: any that is free.")] = 8000
    token: Annotated[
        str | None,
        option(
            "--token", panel=IO, metavar="TEXT", envvar="SRSPACE_TOKEN", show_envvar=False,
            help="What requests must carry (Authorization: Bearer TEXT). Better set it as SRSPACE_TOKEN.",
            default="none, on an address of this machine alone",
        ),
    ] = None  # fmt: skip
    quiet: options.Quiet = False
    queue: Annotated[
        int, option("--queue", panel=LIMITS, metavar="N", help="Pictures that are accepted at a time.")
    ] = 16
    max_upload: Annotated[str, option("--max-upload", panel=LIMITS, metavar="SIZE", help="Largest file.")] = "50M"
    max_pixels: Annotated[
        float, option("--max-megapixels", panel=LIMITS, metavar="N", help="Largest picture, in millions of pixels.")
    ] = 16.0
    timeout: Annotated[
        float, option("--timeout", panel=LIMITS, metavar="SECONDS", help="Time of a picture, waiting included.")
    ] = 300.0
    keep: Annotated[float, option("--keep", panel=LIMITS, metavar="SECONDS", help="How long results of jobs stay.")] = (
        600.0
    )
    device: options.Device = "auto"
    precision: options.Precision = "auto"
    tile: options.Tile = None
    max_memory: options.MaxMemory = None
    weights: options.AutoWeights = AUTO_WEIGHTS


@takes(Options)
def serve(options: Options) -> int:
    """Upscale pictures over HTTP.

    POST a picture to /upscale; what can be asked for is on the page /docs. Ctrl-C finishes the pictures at work.
    """
    from srspace.cli.output import message
    from srspace.serve import ServeSettings, run

    settings = ServeSettings(
        host=options.host,
        port=options.port,
        token=options.token,
        weights=options.weights,
        device=options.device,
        precision=options.precision,
        tile=options.tile,
        max_memory=None if options.max_memory is None else parse_memory(options.max_memory),
        queue=options.queue,
        max_upload=parse_memory(options.max_upload),
        max_pixels=round(options.max_pixels * 1e6),
        timeout=options.timeout,
        keep=options.keep,
    )

    def listening(address: str) -> None:
        if not options.quiet:
            message(f"listening on {address}; what can be asked for: {address}/docs")

    run(settings, listening)
    return EXIT_OK
