"""Drawing the candidates of a picture once, and making every picture of them that a page shows."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from srspace import modes
from srspace.collapse import Spool
from srspace.errors import SRSpaceError, UsageError
from srspace.hub import find_fusion
from srspace.images import Picture, fill_transparent
from srspace.metrics import to_uint8
from srspace.modes import Mode
from srspace.report.explore.measure import measured
from srspace.report.explore.settings import Crop, ExploreSettings
from srspace.report.explore.space import BICUBIC, CANDIDATE, ORIGINAL, Shown, Space
from srspace.report.spread import Spread
from srspace.resize import imresize
from srspace.sampling import Sampler
from srspace.upscaler import Upscaler

Progress = Callable[[str, float], None]

_DRAWN = 0.85  # of the time, where there is something to measure as well


@dataclass(frozen=True)
class _Variant:
    """A mode at a value of its parameter."""

    mode: Mode
    parameter: str | None = None
    value: float | None = None

    @property
    def parameters(self) -> dict[str, float]:
        return {} if self.parameter is None or self.value is None else {self.parameter: self.value}

    def shown(self, image: NDArray[np.uint8]) -> Shown:
        return Shown(self.mode.name, image, self.parameter, self.value, help=self.mode.help)


def load_upscaler(settings: ExploreSettings) -> Upscaler:
    """The flow, with every fusion network that the catalogue has for it.

    Raises:
        WeightsError: the flow's weights are missing.
        CheckpointError: weights are damaged.
        UsageError: there is no such device or precision.
    """
    usable = [mode for mode in _merging() if mode.network is None or _has_network(settings.weights, mode.network)]
    return Upscaler.load(settings.weights, modes=usable, device=settings.device, precision=settings.precision)


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
        upscaler: of :func:`load_upscaler`; modes whose network it lacks are left out.
        settings: how.
        name: what to call the picture.
        hr: the original, ``scale`` times as large; metrics are then taken.
        progress: called with what is being done and the share done.

    Raises:
        UsageError: the crop lies outside the picture, or the original has another size.
        ResourceError: the memory is too small.
    """
    report = progress or (lambda text, share: None)
    start = time.perf_counter()
    crop = settings.crop or Crop.middle(picture.width, picture.height)
    crop.check(picture.width, picture.height)
    original = None if hr is None else _original(hr, picture, upscaler.scale)
    lr = _tensor(picture, crop, 1)
    sampling = settings.sampling
    variants, notes = _variants(upscaler, settings)
    counts = [variant.mode.count(sampling.samples) for variant in variants]
    samples = max([sampling.samples or 0, *counts]) or 1
    share = _DRAWN if original is not None else 1.0
    finished = _Finished(picture.grey)
    height, width = (side * upscaler.scale for side in lr.shape[1:])
    limit = sampling.max_memory if upscaler.device.type == "cpu" else None
    with Spool(samples, height, width, limit=limit) as spool:
        makers = [
            upscaler.maker(variant.mode, count, variant.parameters)
            for variant, count in zip(variants, counts, strict=True)
        ]
        resolved = replace(sampling, samples=samples, latents=sampling.latents or "independent")
        sampler = Sampler(
            upscaler.prepared, lr, resolved, progress=lambda done: report("exploring: drawing candidates", share * done)
        )
        *images, _ = sampler.collapse_all([*makers, spool.maker])
        spread = Spread()
        candidates = []
        for index, candidate in enumerate(spool):
            spread.add(candidate.permute(1, 2, 0).numpy())
            candidates.append(Shown(CANDIDATE, finished(candidate), index=index, help="one draw of the flow"))
    pictures = [
        Shown(BICUBIC, finished(imresize(lr, upscaler.scale)), help="interpolation, without a network"),
        *(variant.shown(finished(image)) for variant, image in zip(variants, images, strict=True)),
        *candidates,
    ]
    metrics: tuple[str, ...] = ()
    if original is not None:
        reference = _tensor(original, crop, upscaler.scale)
        pictures, missing = measured(
            pictures, to_uint8(reference), to_uint8(lr), settings,
            progress=lambda done: report("exploring: measuring", share + (1 - share) * done),
        )  # fmt: skip
        metrics = tuple(name for name in settings.metrics if name not in missing)
        notes += missing.values()
        pictures.append(Shown(ORIGINAL, finished(reference), help="what the input was made from"))
    if sampler.redraws:
        notes.append(f"{len(sampler.redraws)} candidates were redrawn, because the flow's inverse had exploded.")
    whole = (crop.width, crop.height) == (picture.width, picture.height)
    return Space(
        name=name, lr=finished(lr), scale=upscaler.scale, pictures=pictures, deviation=spread.deviation(),
        sampling=resolved, samples=samples, weights=settings.weights, crop=None if whole else crop, metrics=metrics,
        lpips_net=settings.lpips_net, icc_profile=None if picture.grey else picture.icc_profile, notes=notes,
        seconds=time.perf_counter() - start,
    )  # fmt: skip


def _merging() -> list[Mode]:
    """Modes that make one picture of several candidates or of none; single candidates are shown as such."""
    return [mode for mode in modes.every().values() if not mode.single]


def _has_network(weights: str, kind: str) -> bool:
    try:
        find_fusion(weights, kind)
    except SRSpaceError:
        return False
    return True


def _variants(upscaler: Upscaler, settings: ExploreSettings) -> tuple[list[_Variant], list[str]]:
    """What can be shown with these networks, from no candidates to the dial; and what is left out."""
    found: list[_Variant] = []
    notes: list[str] = []
    for mode in sorted(_merging(), key=lambda mode: (mode.draws, bool(mode.parameters))):
        if mode.network is not None and mode.network not in upscaler.fusion:
            notes.append(f"The mode {mode.name} is left out: there is no network for it with these weights.")
            continue
        try:
            upscaler.check(mode, settings.sampling)
        except SRSpaceError as error:
            notes.append(f"The mode {mode.name} is left out: {error}")
            continue
        if not mode.parameters:
            found.append(_Variant(mode))
            continue
        parameter = mode.parameters[0]
        values: Sequence[float] = np.linspace(parameter.low, parameter.high, settings.balances).tolist()
        found += [_Variant(mode, parameter.name, round(value, 4)) for value in values]
    return found, notes


def _original(hr: Picture, picture: Picture, scale: int) -> Picture:
    if (hr.width, hr.height) != (picture.width * scale, picture.height * scale):
        raise UsageError(
            f"the original is {hr.width}x{hr.height}; for an input of {picture.width}x{picture.height} it must be "
            f"{picture.width * scale}x{picture.height * scale}."
        )
    return hr


def _tensor(picture: Picture, crop: Crop, scale: int) -> Tensor:
    """The part of a picture as ``(3, h, w)`` float32 in [0, 1]."""
    rgb = picture.rgb if picture.alpha is None else fill_transparent(picture.rgb, picture.alpha)
    rows = slice(crop.top * scale, (crop.top + crop.height) * scale)
    columns = slice(crop.left * scale, (crop.left + crop.width) * scale)
    return torch.from_numpy(np.ascontiguousarray(rgb[rows, columns].transpose(2, 0, 1)))


class _Finished:
    """Makes the 8-bit picture that a file would hold, grey where the input is."""

    def __init__(self, grey: bool) -> None:
        self.grey = grey

    def __call__(self, image: Tensor) -> NDArray[np.uint8]:
        image = image.mean(0, keepdim=True).expand(3, -1, -1) if self.grey else image
        return np.ascontiguousarray(to_uint8(image).permute(1, 2, 0).numpy())
