"""What stands still in an animation.

Every pixel of a result depends a little on what moves far away in the picture. What changes by less than a display can
show from one frame to the next is therefore not changed at all.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from srspace.images.picture import Picture

TOLERANCE = np.float32(1 / 255)
"""Difference up to which a pixel counts as unchanged."""


class Steady:
    """Takes frame after frame, all of one size."""

    def __init__(self) -> None:
        self._shown: Picture | None = None

    def __call__(self, frame: Picture) -> Picture:
        """The frame, with the pixels that have not changed as they were."""
        before = self._shown
        if before is not None:
            still = (np.abs(frame.rgb - before.rgb) <= TOLERANCE).all(2)
            alpha = frame.alpha
            if alpha is not None and before.alpha is not None:
                still &= np.abs(alpha - before.alpha) <= TOLERANCE
                alpha = np.where(still, before.alpha, alpha)
            frame = replace(frame, rgb=np.where(still[..., None], before.rgb, frame.rgb), alpha=alpha)
        self._shown = frame
        return frame
