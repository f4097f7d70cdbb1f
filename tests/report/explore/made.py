"""A space made without networks: pictures that can be told apart by their pixels."""

from __future__ import annotations

import numpy as np

from srspace.config import SamplingConfig
from srspace.report.explore.space import BICUBIC, CANDIDATE, ORIGINAL, Shown, Space
from srspace.spread import spread_of

SIZE = (96, 128)
BALANCES = (0.0, 0.25, 0.5, 0.75, 1.0)


def flat(level: int) -> np.ndarray:
    """A grey picture with a white corner, so that it is seen to be turned or moved."""
    image = np.full((*SIZE, 3), level, np.uint8)
    image[:16, :16] = 255
    return image


def space(*, original: bool = True, name: str = "picture.png") -> Space:
    """Grey levels: bicubic 40, mean 90, the dial 100 to 200, candidates 60 to 80; they differ at the lower right."""
    candidates = [flat(60 + 10 * k) for k in range(3)]
    for k, image in enumerate(candidates):
        image[64:80, 96:112] = 100 * k
    pictures = [Shown(BICUBIC, flat(40)), Shown("mean", flat(90), help="average of the candidates")]
    pictures += [Shown("dial", flat(int(100 + 100 * b)), "balance", b, help="with a dial") for b in BALANCES]
    pictures += [Shown(CANDIDATE, image, index=k) for k, image in enumerate(candidates)]
    if original:
        pictures = [
            Shown(p.mode, p.image, p.parameter, p.value, p.index, p.help, {"psnr": 20.0 + k, "lpips": 0.5 - 0.02 * k})
            for k, p in enumerate(pictures)
        ]
        pictures.append(Shown(ORIGINAL, flat(230)))
    return Space(
        name=name,
        lr=flat(50)[::4, ::4],
        scale=4,
        pictures=pictures,
        deviation=spread_of(image / 255 for image in candidates),
        sampling=SamplingConfig(),
        samples=3,
        weights="w",
        metrics=("psnr", "lpips") if original else (),
    )
