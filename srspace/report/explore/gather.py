"""Drawing the candidates of a picture once, and making every picture of them that a page shows."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from srspace.collapse import Spool
from srspace.config import SamplingConfig
from srspace.errors import UsageError
from srspace.images import Picture
from srspace.metrics import to_uint8
from srspace.report.explore.measure import measured
from srspace.report.explore.settings import Crop, ExploreSettings
from srspace.report.explore.space import BICUBIC, CANDIDATE, ORIGINAL, Shown, Space
from srspace.report.explore.variants import Variant, find_variants
from srspace.resize import imresize
from srspace.sampling import Sampler
from srspace.spread import Spread
from srspace.upscaler import Upscaler

Progress = Callable[[str, float], None]

_DRAWN = 0.85  # of the time, where there is something to measure as well


def gather(
    picture: Picture,
    upscaler: Upscaler,
    settings: ExploreSettings,
    *,
    name: str = "",
    hr: Picture | None = None,
    progress: Progress | None = None,
) -> Space:
    """Draw candidates once and have every mode make its picture of them.

    Args:
        picture: the input.
        upscaler: of :func:`srspace.report.explore.load_upscaler`; modes whose network it lacks are left out.
        settings: how.
        name: what to call the picture.
        hr: the original, ``scale`` times as large; metrics are then taken.
        progress: called with what is being done and the share done.

    Raises:
        UsageError: the crop lies outside the picture, the original has another size, or the fusion network that was
            named cannot merge so many candidates.
        ResourceError: the memory is too small.
    """
    report = progress or (lambda text, share: None)
    start = time.perf_counter()
    crop = settings.crop or Crop.middle(picture.width, picture.height)
    crop.check(picture.width, picture.height)
    if hr is not None:
        _check_size(hr, picture, upscaler.scale)
    finished = _Finished(picture.achromatic)
    lr = _part(picture, crop)
    variants, notes = find_variants(upscaler, settings)
    share = _DRAWN if hr is not None else 1.0
    drawing = _draw(
        lr, variants, upscaler, settings.sampling, finished,
        lambda done: report("exploring: drawing candidates", share * done),
    )  # fmt: skip
    bicubic = Shown(BICUBIC, finished(imresize(lr, upscaler.scale)), help="interpolation, without a network")
    pictures, notes = [bicubic, *drawing.pictures], [*notes, *drawing.notes]
    metrics: tuple[str, ...] = ()
    if hr is not None:
        original = _part(hr, crop, upscaler.scale)
        pictures, missing = measured(
            pictures, to_uint8(original), to_uint8(lr), settings,
            progress=lambda done: report("exploring: measuring", share + (1 - share) * done),
        )  # fmt: skip
        metrics = tuple(name for name in settings.metrics if name not in missing)
        notes += missing.values()
        pictures.append(Shown(ORIGINAL, finished(original), help="what the input was made from"))
    whole = (crop.width, crop.height) == (picture.width, picture.height)
    return Space(
        name=name, lr=finished(lr), scale=upscaler.scale, pictures=pictures, deviation=drawing.deviation,
        sampling=drawing.sampling, samples=drawing.sampling.samples or 0, weights=settings.weights,
        fusion=settings.fusion, crop=None if whole else crop, metrics=metrics, lpips_net=settings.lpips_net,
        icc_profile=None if picture.grey else picture.icc_profile, notes=notes, seconds=time.perf_counter() - start,
    )  # fmt: skip


@dataclass(frozen=True)
class _Drawing:
    """What one pass over the candidates gives: pictures of modes and candidates, and where candidates differ."""

    pictures: Sequence[Shown]
    deviation: NDArray[np.float32]
    sampling: SamplingConfig
    notes: Sequence[str]


class _Finished:
    """Makes the 8-bit picture that a file would hold, grey where the input is."""

    def __init__(self, grey: bool) -> None:
        self.grey = grey

    def __call__(self, image: Tensor) -> NDArray[np.uint8]:
        image = image.mean(0, keepdim=True).expand(3, -1, -1) if self.grey else image
        return np.ascontiguousarray(to_uint8(image).permute(1, 2, 0).numpy())


def _draw(
    lr: Tensor,
    variants: Sequence[Variant],
    upscaler: Upscaler,
    sampling: SamplingConfig,
    finished: _Finished,
    progress: Callable[[float], None],
) -> _Drawing:
    samples = max([sampling.samples or 1, *(variant.count for variant in variants)])
    sampling = replace(sampling, samples=samples, latents=sampling.latents or "independent")
    height, width = (side * upscaler.scale for side in lr.shape[1:])
    limit = sampling.max_memory if upscaler.device.type == "cpu" else None
    with Spool(samples, height, width, limit=limit) as spool:
        makers = [upscaler.maker(variant.mode, variant.count, variant.parameters) for variant in variants]
        sampler = Sampler(upscaler.prepared, lr, sampling, progress=progress)
        *images, _ = sampler.collapse_all([*makers, spool.maker])
        pictures = [variant.shown(finished(image)) for variant, image in zip(variants, images, strict=True)]
        spread = Spread()
        for index, candidate in enumerate(spool):
            spread.add(candidate.permute(1, 2, 0).numpy())
            pictures.append(Shown(CANDIDATE, finished(candidate), index=index, help="one draw of the flow"))
    redrawn = len(sampler.redraws)
    notes = [f"{redrawn} candidates were redrawn, because the flow's inverse had exploded."] if redrawn else []
    return _Drawing(pictures, spread.deviation(), sampling, notes)


def _check_size(hr: Picture, picture: Picture, scale: int) -> None:
    if (hr.width, hr.height) != (picture.width * scale, picture.height * scale):
        raise UsageError(
            f"the original is {hr.width}x{hr.height}; for an input of {picture.width}x{picture.height} it must be "
            f"{picture.width * scale}x{picture.height * scale}."
        )


def _part(picture: Picture, crop: Crop, scale: int = 1) -> Tensor:
    """A part as ``(3, h, w)`` float32 in [0, 1], of a picture ``scale`` times as large as the one that is cropped."""
    rows = slice(crop.top * scale, (crop.top + crop.height) * scale)
    columns = slice(crop.left * scale, (crop.left + crop.width) * scale)
    return torch.from_numpy(np.ascontiguousarray(picture.filled[rows, columns].transpose(2, 0, 1)))
