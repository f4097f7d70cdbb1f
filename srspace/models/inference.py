"""A model prepared for drawing candidates: one device, one precision, everything that only the weights decide done."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor

from srspace.models.flow import FlowDecoder, StepCondition
from srspace.models.rrdb import RRDBFeatures, RRDBNet
from srspace.models.srflow import SRFlow

Conditions = tuple[tuple[StepCondition, ...], ...]


class PreparedSRFlow:
    """Encoder and flow for inference; a copy that later changes of the model do not reach.

    With bfloat16 subnets the encoder keeps a longer mantissa: float16 on a GPU, float32 on a CPU. Its rounding reaches
    all candidates alike, so no averaging removes it, and of all parts it is the one that bfloat16 is too short for.

    Args:
        model: the flow, on its device.
        dtype: of the flow's subnets (None: the type that they have).
    """

    def __init__(self, model: SRFlow, dtype: torch.dtype | None = None) -> None:
        self.dtype = dtype or model.encoder.dtype
        self.device = model.encoder.conv_first.weight.device
        self.scale = model.scale
        self.config, self.nf = model.flow.config, model.encoder.config.nf
        self.latent_shapes = model.flow.latent_shapes
        self._original = model.encoder
        self.encoder = _prepared_encoder(model.encoder, _encoder_dtype(self.dtype, self.device))
        self.decoder = FlowDecoder(model.flow, self.dtype)

    def bytes_per_pixel(self) -> tuple[int, int]:
        """Memory that one LR pixel takes at the peak: once for what is shared, and per candidate decoded at a time."""
        size, config = self.dtype.itemsize, self.config
        hidden, nf, levels = config.hidden_channels, self.nf, config.levels
        kept_conditions = transient = state = wide = 0
        channels = 3
        for level in range(levels):
            area = 4 ** (levels - 1 - level)
            channels *= 4
            kept_conditions += area * config.steps * (8 * channels + hidden * size)
            condition_channels = nf * (1 + len(config.stack_blocks))
            transient = max(transient, area * size * (2 * condition_channels + 2 * config.steps * hidden))
            state = max(state, area * 4 * 5 * channels)
            wide = max(wide, area * size * 3 * hidden)
            channels //= 2
        encoder = size * (8 * nf + nf * (len(config.stack_blocks) + 2 ** (levels - 1)))
        latents_and_image = 2 * 4 * 3 * 4**levels + 2 * 4 * 3 * self.scale**2
        return kept_conditions + max(transient, encoder), wide + state + latents_and_image

    @torch.no_grad()
    def features(self, lr: Tensor) -> RRDBFeatures:
        """The encoder's features of ``(1, 3, h, w)``."""
        features = self.encoder.encode(lr, self.config.stack_blocks, self.config.levels - 1)
        if self.encoder.dtype == torch.float16 and not torch.isfinite(features.last).all():
            self.encoder = _prepared_encoder(self._original, torch.float32)
            return self.features(lr)
        return features

    @torch.no_grad()
    def conditions(self, lr: Tensor) -> Conditions:
        """What all candidates of ``lr`` ``(1, 3, h, w)`` share."""
        features = self.features(lr)
        return self.decoder.conditions((*reversed(features.upsampled), features.last), features.stacked)

    @torch.no_grad()
    def decode(self, latents: Sequence[Tensor], conditions: Conditions) -> Tensor:
        """Candidates ``(B, 3, H, W)`` float32, unclamped, from latents ``(B, C, h, w)``, splits first."""
        return self.decoder(latents, conditions)

    @torch.no_grad()
    def regression(self, lr: Tensor) -> Tensor:
        """The encoder's own super-resolution of ``(1, 3, h, w)``, float32, unclamped."""
        out: Tensor = self.encoder.head(self.features(lr))
        return out


def _encoder_dtype(dtype: torch.dtype, device: torch.device) -> torch.dtype:
    if dtype == torch.bfloat16:
        return torch.float16 if device.type == "cuda" else torch.float32
    return dtype


def _prepared_encoder(encoder: RRDBNet, dtype: torch.dtype) -> RRDBNet:
    out = copy.deepcopy(encoder).to(dtype).eval().requires_grad_(False)
    if out.conv_first.weight.device.type in ("cpu", "cuda"):
        out.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return out
