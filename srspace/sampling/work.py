"""One tile at work: what its candidates share, computed once, on first use; and their decoding."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

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
    """What is known of a tile, for sinks (see :class:`srspace.modes.TileInputs`), and its candidates.

    Args:
        model: the model.
        image: the whole LR image, ``(3, h, w)`` float32 in [0, 1] on the CPU.
        tile: the tile.
    """

    def __init__(self, model: CandidateModel, image: Tensor, tile: Tile) -> None:
        self.model, self.tile, self.scale = model, tile, model.scale
        part = tile.cut(image)
        self.lr = part.to(model.device, non_blocking=True)
        flat = flat_parts(part, model.scale)
        self._flat = None if flat is None else flat.to(model.device, non_blocking=True)
        self._strips = Strips.around(tile, image.shape[1], image.shape[2])
        self._features: RRDBFeatures | None = None
        self._conditions: Any = None

    @cached_property
    def features(self) -> Tensor:
        """See :attr:`srspace.models.RRDBFeatures.joined`; to be asked for before any candidate is decoded."""
        return self._strips.removed(self._encoded().joined[0])

    @cached_property
    def regression(self) -> Tensor:
        """The encoder's own super-resolution, ``(3, scale * h, scale * w)`` float32 in [0, 1]."""
        image = self.model.regression(self._encoded())[0]
        return self._strips.removed(image, self.scale).clamp(0, 1)

    @cached_property
    def _expected(self) -> Tensor:
        return defects.references(self.lr, self.regression)

    def decode(self, stages: Sequence[int], latents: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Decode some candidates, each at its stage (see :class:`srspace.sampling.redraws.Redraws`).

        Args:
            stages: one a candidate.
            latents: of the tile's outer part, one ``(n, C, H, W)`` tensor per level.

        Returns:
            ``(n, 3, H, W)`` in [0, 1], broken ones zero, and what :func:`defects.examine` found, ``(n, 3)``. Unless a
            candidate is being mended, nothing waits for the device.
        """
        if self._conditions is None:
            features = self._encoded()
            _ = self._expected  # the encoder's head needs its memory before the conditions take theirs
            self._conditions = self.model.conditions(features)
            # The encoder's other maps take too much memory to be kept.
            self._features = RRDBFeatures(features.last, features.last[:, :0], ())
        latents = [self._strips.added(z, z.shape[-1] // self.lr.shape[-1]) for z in latents]
        images = self._strips.removed(self.model.decode(latents, self._conditions), self.scale)
        if self._flat is not None:
            images = torch.lerp(images, self.regression, self._flat)
        for k, stage in enumerate(stages):
            if stage == REPLACED:
                images[k] = self.regression
            elif stage == MENDED:
                images[k] = defects.mended(images[k], self._expected, self.regression)
        findings = defects.examine(images, self._expected, self.tile, self.scale)
        if REPLACED in stages:  # there is nothing left to put in its place
            settled = torch.tensor([stage == REPLACED for stage in stages], device=findings.device)
            findings = findings.masked_fill(settled[:, None], 0.0)
        good = defects.usable(findings)[:, None, None, None]
        return torch.where(good, images.clamp_(0, 1), 0.0), findings

    def finish(self) -> None:
        """Let go of what only decoding needs."""
        self._conditions = None

    def _encoded(self) -> RRDBFeatures:
        if self._features is None:
            self._features = self.model.features(self._strips.added(self.lr[None]))
        return self._features
