"""What every task is built from: pictures to train on, pictures held out, and the device."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor
from torch.random import fork_rng

from srspace.config import TrainConfig
from srspace.data.augment import Augmentation, Blended, Degraded, Permuted, Reduced, Rendered, Stretched, augmented
from srspace.data.degrade import Degradation, DegradeConfig
from srspace.data.folders import Progress, centre_crops
from srspace.data.pools import Batches, Damage, MixedPool, load_pool
from srspace.errors import UsageError
from srspace.training.processes import seed_batch
from srspace.training.settings import DataConfig

Pairs = tuple[Tensor, Tensor]
"""HR and LR crops ``(B, 3, H, W)`` and ``(B, 3, h, w)``, float32 in [0, 1]."""

_HELD_OUT_SIDE = 320


@dataclass(frozen=True)
class Sources:
    """Where a training's pictures come from and where they go.

    Attributes:
        folders: pictures to train on; only some tasks take more than one.
        held_out: folder of pictures to validate on (None: there are none).
        data: what is drawn of the pictures.
        train: batch size and patch apply, and the seed.
        device: where everything lives.
        progress: called with what is being done and the share done of it.
    """

    folders: tuple[Path, ...]
    held_out: Path | None = None
    data: DataConfig = field(default_factory=DataConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    progress: Callable[[str, float], None] | None = None

    def folder(self) -> Path:
        """The only folder.

        Raises:
            UsageError: there are several, or none.
        """
        if len(self.folders) != 1:
            raise UsageError(f"this training takes one folder of pictures, not {len(self.folders)}.")
        return self.folders[0]

    def pool(self, folder: Path, scale: int) -> MixedPool:
        """A pool of a folder's pictures, widened as the configuration says.

        Raises:
            UsageError: tile, patch and reductions do not fit together.
            DataError: the folder holds nothing to train on, or a picture that cannot be read.
        """
        tile, patch = self.data.tile, self.train.patch
        if patch % scale or tile % scale or patch > tile:
            raise UsageError(f"patch ({patch}) and tile ({tile}) must be multiples of {scale}, the tile the larger.")
        if any(tile * factor < patch for factor in self.data.reductions):
            raise UsageError(f"a reduction must be at least {patch / tile:.2g} (patch / tile).")
        progress = self.reporter(f"reading {folder}")
        pool = load_pool(folder, scale=scale, tile=tile, device=self.device, progress=progress)
        wide = augmented(pool, augmentations(self.data, self.train.seed))
        return replace(wide, damage=self._damage(scale))

    def batches(self, scale: int) -> Batches:
        """Batches of the only folder's pictures; raises as :meth:`folder` and :meth:`pool` do."""
        return Batches(self.pool(self.folder(), scale), self.train.batch_size, self.train.patch)

    def pairs(self, scale: int) -> Pairs | None:
        """Central crops of the pictures held out, damaged as those to train on are; None where there are none.

        The damage is the same in every run, whatever the seed of the training.

        Raises:
            DataError: the folder holds no picture that is large enough, or one that cannot be read.
        """
        if self.held_out is None:
            return None
        side = min(_HELD_OUT_SIDE, self.data.tile) // scale * scale
        progress = self.reporter(f"reading {self.held_out}")
        hr, lr = centre_crops(self.held_out, side=side, scale=scale, device=self.device, progress=progress)
        if self.data.damage != "none":
            damage = Degradation(DegradeConfig(scale=scale))  # whatever share is trained on
            with fork_rng([self.device] if self.device.type == "cuda" else []):
                seed_batch(self.device, 0, 0, 0)
                lr = damage(hr)
        return hr, lr

    def _damage(self, scale: int) -> Damage | None:
        if self.data.damage == "none":
            return None
        return Degradation(DegradeConfig(scale=scale, jagged=self.data.jagged_share))

    def reporter(self, what: str) -> Progress | None:
        """What is told the share done of something, in [0, 1]; None where nobody listens."""
        report = self.progress
        if report is None:
            return None
        report(what, 0.0)
        return lambda share: report(what, share)


def augmentations(data: DataConfig, seed: int) -> list[Augmentation]:
    """What a configuration asks for, in the order in which it is applied."""
    found: list[Augmentation] = []
    if data.reductions:
        found.append(Reduced(data.reductions, data.reduced_share))
    if data.rendered and data.rendered_share:
        found.append(Rendered(data.rendered, data.rendered_share, seed))
    if data.stretched_share:
        found.append(Stretched(data.stretched_share, seed))
    if data.degraded_share:
        found.append(Degraded(data.degraded_share, seed))
    if data.permuted_share:
        found.append(Permuted(data.permuted_share))
    if data.blended_share:
        found.append(Blended(data.blended_share))
    return found
