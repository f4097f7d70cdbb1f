"""All kinds of damage, with the ranges that a configuration gives them."""

from __future__ import annotations

import math
from collections.abc import Callable

from torch import Tensor

from srspace.data.degrade.blur import blur
from srspace.data.degrade.camera import camera
from srspace.data.degrade.config import DegradeConfig
from srspace.data.degrade.damage import Choice, Damage, Draw, Flag, Integer, LogUniform, Mostly, Uniform
from srspace.data.degrade.film import old_photo
from srspace.data.degrade.jpeg import jpeg, subsample_chroma
from srspace.data.degrade.noise import noise
from srspace.data.degrade.palette import halftone, palette
from srspace.data.degrade.sharpen import sharpen
from srspace.data.degrade.webp import webp


def kinds(config: DegradeConfig | None = None) -> dict[str, Damage]:
    """Every kind of damage that keeps an image's size, by name; ``kinds()["jpeg"](images, quality=40)`` does it.

    Args:
        config: gives the ranges of parameters.
    """
    c = config or DegradeConfig()
    offset = Mostly(0, c.aligned, Integer(0, 15))
    ranges: dict[Callable[..., Tensor], dict[str, Draw]] = {
        blur: {
            "kind": Choice(c.blur_kinds),
            "size": Uniform(*c.blur_size, power=1.6),
            "ratio": Mostly(1.0, c.round_blurs, Uniform(*c.blur_ratio)),
            "angle": Uniform(0, math.pi),
            "shape": Uniform(0, 1),
        },
        halftone: {
            "period": Uniform(*c.halftone_period),
            "angle": Uniform(0, math.pi),
            "strength": Uniform(0.3, 1),
            "one_angle": Flag(c.one_angle),
        },
        camera: {
            "full_well": LogUniform(*c.full_well),
            "read_noise": Uniform(*c.read_noise),
            "red_gain": Uniform(*c.red_gain),
            "blue_gain": Uniform(*c.blue_gain),
            "phase": Integer(0, 3),
            "softness": Uniform(0, 1),
        },
        sharpen: {"radius": Uniform(*c.sharpen_radius), "amount": Uniform(*c.sharpen_amount, power=1.3)},
        noise: {
            "strength": Uniform(*c.noise_strength, power=1.7),
            "colour": Choice(c.noise_colours),
            "smooth": Mostly(0.0, c.white_noise, Uniform(*c.noise_smooth)),
            "signal": Mostly(0.0, 0.6, Uniform(0.5, 1)),
        },
        old_photo: {
            "grain": Uniform(*c.grain),
            "grain_size": Uniform(0.3, 0.9),
            "fading": Uniform(*c.fading),
            "scratches": Uniform(*c.scratches, power=2),
        },
        palette: {
            "colours": LogUniform(*c.palette_colours),
            "dither": Mostly(0.0, 1 - c.dithered, Uniform(0.05, 0.2)),
        },
        subsample_chroma: {
            "subsampling": Choice(c.jpeg_subsamplings[:2]),
            "upsampling": Choice((1 - c.triangle, c.triangle)),
        },
        jpeg: {
            "quality": Integer(*c.jpeg_quality),
            "subsampling": Choice(c.jpeg_subsamplings),
            "upsampling": Choice((1 - c.triangle, c.triangle)),
            "top": offset,
            "left": offset,
        },
        webp: {"quality": Integer(*c.webp_quality), "top": offset, "left": offset},
    }
    return {apply.__name__: Damage(apply.__name__, apply, draws) for apply, draws in ranges.items()}


def resizing(config: DegradeConfig) -> dict[str, Draw]:
    """How the parameters of a resizing are drawn (see :func:`srspace.data.degrade.reduction.resize_matrix`)."""
    shift = Mostly(0.0, 1 - config.shifted, Uniform(-config.shift, config.shift))
    return {
        "kernel": Choice(config.kernels),
        "antialias": Flag(1 - config.not_antialiased),
        "shift_y": shift,
        "shift_x": shift,
    }


def jagged_resizing(config: DegradeConfig) -> dict[str, Draw]:
    """The same for images that are reduced without antialiasing: by nearest neighbours, bilinear or bicubic."""
    return resizing(config) | {"kernel": Choice((0.5, 0.3, 0.2)), "antialias": Flag(0.0)}
