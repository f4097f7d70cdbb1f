"""Training the RRDB encoder as a regression network."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from srspace.checkpoints import load_encoder
from srspace.config import RRDBConfig
from srspace.data.augment import oriented
from srspace.data.pools import Batches
from srspace.errors import UsageError
from srspace.hub import resolve_weights
from srspace.metrics import psnr
from srspace.models import RRDBNet
from srspace.training.losses import regression
from srspace.training.settings import EncoderTaskConfig
from srspace.training.sources import Pairs, Sources
from srspace.training.task import Task

_AT_A_TIME = 4


class EncoderTask(Task):
    """An encoder and its head by regression: the first stage of ESRGAN (Wang et al., 2018, arXiv 1809.00219).

    Args:
        network: the encoder, on its device.
        batches: training pairs, on the same device.
        config: the loss, and the weight of the teacher's.
        teacher: an encoder whose :func:`oriented_output` is a second target. It is nearer to what the network can
            reach than the original picture is, so gradients are less noisy.
        held_out: pairs to validate on.
    """

    network: RRDBNet

    def __init__(
        self,
        network: RRDBNet,
        batches: Batches,
        config: EncoderTaskConfig,
        *,
        teacher: RRDBNet | None = None,
        held_out: Pairs | None = None,
    ) -> None:
        self.network = network.requires_grad_(True)
        self.batches, self.config, self.teacher, self.held_out = batches, config, teacher, held_out
        if teacher is not None:
            teacher.eval().requires_grad_(False).to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @classmethod
    def build(cls, config: EncoderTaskConfig, sizes: RRDBConfig, sources: Sources) -> EncoderTask:
        """The task that a configuration describes.

        Args:
            config: the task's own options.
            sizes: of a fresh encoder.
            sources: pictures and device.

        Raises:
            SRSpaceError: weights, pictures or options are missing or do not fit together.
        """
        network = load_encoder(resolve_weights(config.start)) if config.start else RRDBNet(sizes)
        teacher = load_encoder(resolve_weights(config.teacher)) if config.teacher else None
        scale = network.config.scale
        if teacher is not None and teacher.config.scale != scale:
            raise UsageError(f"the teacher upscales by {teacher.config.scale}, the encoder by {scale}.")
        return cls(
            network.to(sources.device), sources.batches(scale), config,
            teacher=None if teacher is None else teacher.to(sources.device), held_out=sources.pairs(scale),
        )  # fmt: skip

    def batch(self) -> tuple[Tensor, ...]:
        return self.batches.draw()

    def loss(self, *batch: Tensor) -> Tensor:
        hr, lr = batch
        sr: Tensor = self.network(lr)
        loss = regression(sr, hr, self.config.loss).mean()
        if self.teacher is not None:
            with torch.no_grad():
                target = oriented_output(self.teacher, lr)
            loss = loss + self.config.teacher_weight * regression(sr, target, self.config.loss).mean()
        return loss

    def validate(self) -> dict[str, float]:
        """PSNR-Y of the held-out pairs, border cut by the scale, in dB."""
        if self.held_out is None:
            return {}
        parts = zip(*(images.split(_AT_A_TIME) for images in self.held_out), strict=True)
        border = self.network.config.scale
        scores = [psnr(self.network(lr).clamp(0, 1), hr, y_only=True, border=border) for hr, lr in parts]
        return {"val_psnr_y": torch.cat(scores).mean().item()}

    def score(self, figures: Mapping[str, float]) -> float:
        return -figures["val_psnr_y"]


def oriented_output(network: nn.Module, lr: Tensor) -> Tensor:
    """What a network makes of every image in a random one of its 8 orientations, turned back.

    Averaged over the orientations, a network's output is closer to the truth (Timofte et al., 2016, arXiv 1511.02228);
    one at random is that average in expectation, at an eighth of its cost.

    Args:
        network: takes ``(B, 3, h, w)`` with h = w.
        lr: its input.
    """
    masks = (torch.rand(3, lr.shape[0], device=lr.device) < 0.5).unbind(0)
    return oriented(network(oriented(lr, masks)), masks, back=True)
