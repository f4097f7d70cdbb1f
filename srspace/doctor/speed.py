"""A small picture upscaled from end to end."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from srspace.doctor.finding import Finding, Level
from srspace.errors import SRSpaceError

SIDE = 24
_OFTEN = 2  # the first run also warms up


def check_speed() -> Iterator[Finding]:
    """The default mode with the default weights, on the default device."""
    from srspace.images import Picture
    from srspace.upscaler import Upscaler

    ramp = np.linspace(0.4, 0.6, SIDE, dtype=np.float32)
    picture = Picture(np.ascontiguousarray(np.broadcast_to(ramp[:, None, None], (SIDE, SIDE, 3))))
    try:
        upscaler = Upscaler.load()
        results = [upscaler.upscale(picture) for _ in range(_OFTEN)]
    except SRSpaceError as error:
        yield Finding("a small run", Level.PROBLEM, f"failed: {error}")
        return
    best = min(results, key=lambda result: result.seconds)
    large = SIDE * upscaler.scale
    what = f"{SIDE}x{SIDE} to {large}x{large} pixels in the mode {best.mode} with {best.samples} candidates"
    if not np.isfinite(best.picture.rgb).all() or abs(best.picture.rgb.mean() - 0.5) > 0.1:
        yield Finding("a small run", Level.PROBLEM, f"{what} gave a picture that has nothing to do with its input.")
        return
    yield Finding("a small run", Level.OK, f"{what}: {best.seconds:.2f} s on {upscaler.device}.")
