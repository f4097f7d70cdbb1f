"""A metric of somebody else's: all that it takes is this file."""

from __future__ import annotations

from torch import Tensor

from srspace.metrics import Context, Metric, Reference, Score, View


def make(context: Context) -> Score:
    def score(output: View, reference: Reference) -> Tensor:
        return 255 * (output.rgb - reference.hr.rgb).abs().flatten(1).amax(1)

    return score


WORST = Metric("worst", "Worst", f"{__name__}:make", False, 1, "distortion", unit="grey levels")
