"""One tile of some images at work: what candidates share, computed once, on first use; and their decoding."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from srspace.models import RRDBFeatures
from srspace.models.inference import CandidateModel
from srspace.sampling import defects
from srspace.sampling.edges import Strips
from srspace.sampling.flat import flat_parts
from srspace.sampling.redraws import MENDED, REPLACED
from srspace.sampling.tiles import Tile


class TileWork:
    """The same tile of images of one size, and their candidates.

    Args:
        model: the model.
        images: the whole LR images, ``(3, h, w)`` float32 in [0, 1] on the CPU.
        tile: the tile.
        once: whether all candidates are decoded at the same time.

    Attributes:
        lr: ``(B, 3, h, w)``, the tile's outer part of each image, on the device.
    """

    def __init__(self, model: CandidateModel, images: Sequence[Tensor], tile: Tile, *, once: bool = False) -> None:
        self._once = once
        self.model, self.tile, self.scale = model, tile, model.scale
        # by numpy, for the reason that flat_parts has
        self._parts = torch.from_numpy(np.stack([tile.cut(image).numpy() for image in images]))
        self.lr = self._parts.to(model.device, non_blocking=True)
        self._strips = Strips.around(tile, *images[0].shape[1:])
        self._features: RRDBFeatures | None = None
        self._conditions: Any = None

    def inputs(self, number: int) -> ImageInputs:
        """What sinks are told of one image."""
        return ImageInputs(self, number)

    @cached_property
    def features(self) -> Tensor:
        """See :attr:`srspace.models.RRDBFeatures.joined`; to be asked for before any candidate is decoded."""
        return self._strips.removed(self._encoded().joined)

    @cached_property
    def regression(self) -> Tensor:
        """The encoder's own super-resolution, ``(B, 3, scale * h, scale * w)`` float32 in [0, 1]."""
        return self._strips.removed(self.model.regression(self._encoded()), self.scale).clamp(0, 1)

    @cached_property
    def _expected(self) -> Tensor:
        return defects.references(self.lr, self.regression)

    @cached_property
    def _flat(self) -> Tensor | None:
        return flat_parts(self._parts, self.scale, self.model.device)

    def decode(self, owners: Sequence[int], stages: Sequence[int], latents: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Decode some candidates, each at its stage (see :class:`srspace.sampling.redraws.Redraws`).

        Args:
            owners: the number of each candidate's image.
            stages: one a candidate.
            latents: of the tile's outer part, one ``(n, C, H, W)`` tensor per level.

        Returns:
            ``(n, 3, H, W)`` in [0, 1], broken ones zero, and what :func:`defects.examine` found, ``(n, 3)``. Unless a
            candidate is being mended, nothing waits for the device.
        """
        if self._conditions is None:
            features = self._encoded()
            _ = self._expected  # the encoder's head needs its memory before the conditions take theirs
            self._conditions = self.model.conditions(features, once=self._once)
            # The encoder's other maps take too much memory to be kept.
            self._features = RRDBFeatures(features.last, features.last[:, :0], ())
        index = self._index(owners)
        conditions = self._conditions if index is None else self.model.select(self._conditions, index)
        expected, regression = (x if index is None else x[index] for x in (self._expected, self.regression))
        latents = [self._strips.added(z, z.shape[-1] // self.lr.shape[-1]) for z in latents]
        images = self._strips.removed(self.model.decode(latents, conditions), self.scale)
        if self._flat is not None:
            images = torch.lerp(images, regression, self._flat if index is None else self._flat[index])
        for k, (owner, stage) in enumerate(zip(owners, stages, strict=True)):
            if stage == REPLACED:
                images[k] = self.regression[owner]
            elif stage == MENDED:
                images[k] = defects.mended(images[k], self._expected[owner], self.regression[owner])
        findings = defects.examine(images, expected, self.tile, self.scale)
        if REPLACED in stages:  # there is nothing left to put in its place
            settled = torch.tensor([stage == REPLACED for stage in stages], device=findings.device)
            findings = findings.masked_fill(settled[:, None], 0.0)
        good = defects.usable(findings)[:, None, None, None]
        return torch.where(good, images.clamp_(0, 1), 0.0), findings

    def finish(self) -> None:
        """Let go of what only decoding needs."""
        self._conditions = None

    def _index(self, owners: Sequence[int]) -> Tensor | None:
        """``owners`` on the device; None where what there is of each image serves as it is."""
        count = len(self.lr)
        if count == 1 or list(owners) == list(range(count)):
            return None
        return torch.tensor(owners, device=self.model.device)

    def _encoded(self) -> RRDBFeatures:
        if self._features is None:
            self._features = self.model.features(self._strips.added(self.lr))
        return self._features


class ImageInputs:
    """What is known of a tile of one image: :class:`srspace.modes.TileInputs`.

    Args:
        work: on that tile.
        number: which image.
    """

    def __init__(self, work: TileWork, number: int) -> None:
        self.scale, self.tile, self.lr = work.scale, work.tile, work.lr[number]
        self._work, self._number = work, number

    @property
    def features(self) -> Tensor:
        """As of :class:`srspace.modes.TileInputs`."""
        return self._work.features[self._number]

    @property
    def regression(self) -> Tensor:
        """As of :class:`srspace.modes.TileInputs`."""
        return self._work.regression[self._number]
