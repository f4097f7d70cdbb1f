"""HR in, damaged LR out: the order in which things go wrong."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

from srspace.data.degrade.colour import to_linear, to_srgb
from srspace.data.degrade.config import DegradeConfig
from srspace.data.degrade.damage import Draw, Mostly, Uniform, drawn, flags, quantized
from srspace.data.degrade.kinds import jagged_resizing, kinds, resizing
from srspace.data.degrade.reduction import clean_reduction, resized
from srspace.data.degrade.stages import Record, Slots, on_share, on_slots, random_order

SMALLEST = 32
"""Side of the smallest images that can be damaged, in HR pixels."""


class Degradation:
    """Realistic damage, for training and for measuring.

    The order follows what happens to pictures: print, optics, reduction, sensor, editing, and compression, once or
    twice (compare Wang, Xie, Dong, Shan, "Real-ESRGAN: training real-world blind super-resolution with pure synthetic
    data", 2021, arXiv 2107.10833). A stage runs on its share of the images only, chosen at random, so that every
    image meets its own combination.

    Randomness comes from torch's default generator of the device. Nothing waits for the device, and shapes depend on
    the batch's shape alone: after a first call, which makes constants, calls can be captured in a CUDA graph.

    Args:
        config: shares and ranges.
    """

    def __init__(self, config: DegradeConfig | None = None) -> None:
        self.config = config or DegradeConfig()
        self._kinds = kinds(self.config)
        self._resizing = resizing(self.config)
        self._jagged_resizing = jagged_resizing(self.config)

    def __call__(self, hr: Tensor) -> Tensor:
        """Reduce and damage each image in its own way.

        Args:
            hr: ``(B, 3, H, W)`` float32 in [0, 1]; H and W are multiples of the scale and at least 32 pixels.

        Returns:
            ``(B, 3, H / scale, W / scale)``, multiples of 1/255 in [0, 1], aligned with ``hr`` as MATLAB's bicubic
            reduction is (but for the shifts that the configuration allows).

        Raises:
            ValueError: a side is no multiple of the scale, or too small.
        """
        return self._degraded(hr, None)

    def recorded(self, hr: Tensor) -> tuple[Tensor, Record]:
        """As a call, together with what was done to each image; the same generator state gives the same images."""
        record = Record(hr.shape[0])
        return self._degraded(hr, record), record

    @torch.no_grad()
    def _degraded(self, hr: Tensor, record: Record | None) -> Tensor:
        scale, (height, width) = self.config.scale, hr.shape[-2:]
        if height % scale or width % scale or min(height, width) < SMALLEST:
            raise ValueError(f"sides must be multiples of {scale} and at least {SMALLEST}, not {height}x{width}")
        with _full_precision(hr.device):
            hr = hr.float()
            lr = self._reduced(hr, record)
            lr = self._disturbed(lr, record)
            lr = self._compressed(lr, record)
            count, device = hr.shape[0], hr.device
            clean = Slots(torch.arange(count, device=device), flags(self.config.clean, count, device))
            if record is not None:
                record.add("clean", clean, {})
            return self._jagged(clean.put(quantized(lr), clean_reduction(hr, scale)), hr, record)

    def _reduced(self, hr: Tensor, record: Record | None) -> Tensor:
        """Everything up to the LR size: print, blur, and one of three ways to reduce."""
        c, factor = self.config, torch.full((hr.shape[0],), float(self.config.scale), device=hr.device)
        order = random_order(hr.shape[0], hr.device)
        in_linear_light, in_two_steps = Slots.first(order, c.linear_light), Slots.first(order.flip(0), c.two_steps)
        if record is not None:
            record.add("linear_light", in_linear_light, {})
            record.add("two_steps", in_two_steps, {})
        hr = on_share(self._kinds["halftone"], hr, c.halftone, record)
        hr = in_linear_light.put(hr, to_linear(in_linear_light.taken(hr)))
        hr = on_share(self._kinds["blur"], hr, 1.0, record)
        in_one_step = in_two_steps.others(hr.shape[0])
        lr = self._resized(hr, factor, self._lr_sides(hr), record, in_one_step, "reduction")
        lr = in_two_steps.put(lr, self._reduced_twice(in_two_steps, in_two_steps.taken(hr), record))
        light = in_linear_light.taken(lr)
        share = c.camera / c.linear_light if c.linear_light else 0.0
        light = on_share(self._kinds["camera"], light, share, record, outer=in_linear_light)
        return in_linear_light.put(lr, to_srgb(light)).clamp(0, 1)

    def _reduced_twice(self, slots: Slots, hr: Tensor, record: Record | None) -> Tensor:
        """By way of an intermediate size, which differs between the images of a canvas of one size."""
        c, count, device = self.config, hr.shape[0], hr.device
        second = Mostly(2.0, c.halfway, Uniform(*c.intermediate))(torch.rand(count, device=device))
        largest = max(c.intermediate[1], 2.0)
        height, width = self._lr_sides(hr)
        canvas = math.ceil(height * largest), math.ceil(width * largest)
        middle = self._resized(hr, c.scale / second, canvas, record, slots, "first_step").clamp(0, 1)
        middle = on_share(self._kinds["jpeg"], middle, c.compressed_between, record, stage="jpeg_between", outer=slots)
        return self._resized(middle, second, self._lr_sides(hr), record, slots, "second_step")

    def _jagged(self, lr: Tensor, hr: Tensor, record: Record | None) -> Tensor:
        """``lr`` with some of its images made anew of ``hr``, without antialiasing."""
        if self.config.jagged <= 0:
            return lr
        slots = Slots.first(random_order(hr.shape[0], hr.device), self.config.jagged)
        hr = slots.taken(hr)
        factor = torch.full((hr.shape[0],), float(self.config.scale), device=hr.device)
        small = self._resized(hr, factor, self._lr_sides(hr), record, slots, "jagged", self._jagged_resizing)
        return slots.put(lr, quantized(small))

    def _lr_sides(self, hr: Tensor) -> tuple[int, int]:
        return hr.shape[-2] // self.config.scale, hr.shape[-1] // self.config.scale

    def _resized(
        self,
        images: Tensor,
        factor: Tensor,
        sides: tuple[int, int],
        record: Record | None,
        slots: Slots,
        stage: str,
        ranges: Mapping[str, Draw] | None = None,
    ) -> Tensor:
        parameters = drawn(ranges or self._resizing, images.shape[0], images.device)
        if record is not None:
            record.add(stage, slots, parameters | {"factor": factor})
        return resized(images, sides, factor, **parameters)

    def _disturbed(self, lr: Tensor, record: Record | None) -> Tensor:
        """Noise and editing."""
        c, sharpen, noise = self.config, self._kinds["sharpen"], self._kinds["noise"]
        lr = on_share(sharpen, lr, c.sharpen_early, record, stage="early_sharpening")
        lr = on_share(noise, lr, c.noise, record)
        lr = on_share(noise, lr, c.second_noise, record, stage="second_noise")
        lr = on_share(self._kinds["old_photo"], lr, c.old_photo, record)
        return on_share(sharpen, lr, c.sharpen, record)

    def _compressed(self, lr: Tensor, record: Record | None) -> Tensor:
        """What files do: colour at half resolution, palettes, and one or two lossy codecs."""
        c, count, jpeg = self.config, lr.shape[0], self._kinds["jpeg"]
        lr = on_share(self._kinds["subsample_chroma"], lr, c.chroma, record)
        lr = on_share(self._kinds["palette"], lr, c.palette, record)
        order = random_order(count, lr.device)
        for name, share, places in (("jpeg", c.jpeg, order), ("webp", c.webp, order.flip(0))):
            slots = Slots.first(places, share)
            lr = on_slots(self._kinds[name], lr, slots, record)
        lr = on_share(self._kinds["sharpen"], lr, c.sharpen_late, record, stage="late_sharpening")
        return on_share(jpeg, lr, c.second_jpeg, record, stage="second_jpeg")


def _full_precision(device: torch.device) -> AbstractContextManager[object]:
    """Keeps a training step's autocast out."""
    if torch.amp.is_autocast_available(device.type):
        return torch.autocast(device.type, enabled=False)
    return nullcontext()
