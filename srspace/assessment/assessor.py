"""From a picture to its assessment."""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING

from srspace.assessment.assessment import Assessment
from srspace.assessment.crops import crops_of
from srspace.families import CLEAN, REAL
from srspace.hub import resolve_weights
from srspace.images import Picture

if TYPE_CHECKING:
    from srspace.models.assessor import Assessor, Findings

WEIGHTS = "assessor"
"""The network's weights in the catalogue."""


def assess(picture: Picture) -> Assessment:
    """Which family of weights suits a picture, and why.

    It is told from the picture's pixels alone, at most 32 parts of 64x64 pixels, in a fraction of a second. The same
    pixels give the same answer; it is computed on the CPU, whatever the device that upscales.

    >>> assess(picture).reasons  # doctest: +SKIP
    ('lossy compression (JPEG or WebP)', 'noise of about 6/255')

    Args:
        picture: of any size, depth and content.

    Raises:
        WeightsError: the assessor's weights are missing or fail their checksum.
        CheckpointError: they are damaged.
    """
    import torch

    network = load_assessor()
    levels = torch.from_numpy(crops_of(picture).transpose(0, 3, 1, 2).copy())
    with torch.no_grad():
        found = network(levels, pictures=1)
    score = round(1 / (1 + math.exp(-float(found.damaged))), 4)
    family = REAL if score >= 0.5 else CLEAN
    return Assessment(family.weights, score, reasons(found) if family is REAL else ())


@cache
def load_assessor() -> Assessor:
    """The network, loaded once.

    Raises:
        WeightsError: its weights are missing or fail their checksum.
        CheckpointError: they are damaged.
    """
    from srspace import checkpoints

    return checkpoints.load_assessor(resolve_weights(WEIGHTS))


def reasons(found: Findings) -> tuple[str, ...]:
    """What was found in one picture, in words; never empty."""
    noise = math.expm1(float(found.noise))
    fine, coarse = float(found.fine), float(found.coarse)
    words = []
    if found.compressed > 0:
        words.append("lossy compression (JPEG or WebP)")
    if noise >= 2:
        words.append(f"noise of about {noise:.0f}/255")
    if fine < -0.3:
        words.append("soft: fine details are missing")
    elif fine > 0.3 and coarse < -0.3:
        words.append("jagged: reduced without antialiasing")
    elif fine > 0.3:
        words.append("oversharpened")
    return tuple(words) or ("weak traces of processing",)
