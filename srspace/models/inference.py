"""A model prepared for drawing candidates: one device, one precision, everything that only the weights decide done."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import TypeVar

import torch
from torch import Tensor, nn

from srspace.models import kernels
from srspace.models.convolution import layout_for
from srspace.models.flow import FlowDecoder, StepCondition
from srspace.models.rrdb import RRDBFeatures
from srspace.models.srflow import SRFlow
from srspace.models.trunk import FusedTrunk

Network = TypeVar("Network", bound=nn.Module)
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
        self._kernels: kernels.WarmUp | None = None
        self._prepare_encoder(_encoder_dtype(self.dtype, self.device))
        self.decoder = FlowDecoder(model.flow, self.dtype)

    def _prepare_encoder(self, dtype: torch.dtype) -> None:
        self.encoder = prepared(self._original, self.device, dtype)
        self.trunk = FusedTrunk(self.encoder) if FusedTrunk.fits(self.encoder) else None

    def bytes_per_pixel(self) -> tuple[int, int, int]:
        """Memory that one LR pixel takes: conditions, what computing them takes beside, and each candidate decoded.

        The second and the third are never held at the same time.
        """
        size, config = self.dtype.itemsize, self.config
        hidden, nf, levels = config.hidden_channels, self.nf, config.levels
        condition_channels = nf * (1 + len(config.stack_blocks))
        fused = kernels.available(self.device) and size == 2
        conditions = transient = candidate = 0
        channels = 3
        for level in range(levels):
            area = 4 ** (levels - 1 - level)
            channels *= 4
            conditions += area * config.steps * (8 * channels + hidden * size)
            wide = max(2 * condition_channels - nf, condition_channels + (config.steps + 3) * hidden)
            transient = max(transient, area * size * wide)
            # Without the kernels another wide map and more copies of the state are about.
            state = 4 * channels * (2 if fused else 4)
            candidate = max(candidate, area * (size * hidden * (2 if fused else 3) + state))
            channels //= 2
        width = self.encoder.dtype.itemsize * nf
        encoder = width * (12 + len(config.stack_blocks) + 2 * 4 ** (levels - 1))
        latents = 4 * 3 * 4**levels
        return conditions, max(transient, encoder), candidate + latents

    def wait_for_kernels(self) -> bool:
        """Have the GPU kernels compiled now, if there are any; returns whether they are in use from here on."""
        if not (self.decoder.fused or self.trunk):
            return False
        return self._start_kernels().wait()

    def _start_kernels(self) -> kernels.WarmUp:
        if self._kernels is None:
            self._kernels = kernels.WarmUp(self.device, self._warm_up)
        return self._kernels

    def _warm_up(self) -> Iterator[None]:
        if self.trunk is not None:
            yield from self.trunk.warm_up()
        yield from self.decoder.warm_up()

    def _fused(self, lr: Tensor) -> bool:
        """Whether to use the kernels for ``lr``; the first image that is large enough starts their compiling."""
        if not (self.decoder.fused or self.trunk) or lr.shape[2] * lr.shape[3] < kernels.WORTHWHILE:
            return False
        return self._start_kernels().done

    @torch.no_grad()
    def features(self, lr: Tensor, *, fused: bool = False) -> RRDBFeatures:
        """The encoder's features of ``(1, 3, h, w)``.

        Args:
            lr: in [0, 1].
            fused: use the kernels, where there are any.
        """
        config = self.config
        features = self.encoder.encode(lr, config.stack_blocks, config.levels - 1, self.trunk if fused else None)
        if self.encoder.dtype == torch.float16 and not torch.isfinite(features.last).all():
            self._prepare_encoder(torch.float32)
            return self.features(lr)
        return features

    @torch.no_grad()
    def conditions(self, lr: Tensor) -> Conditions:
        """What all candidates of ``lr`` ``(1, 3, h, w)`` share."""
        fused = self._fused(lr)
        features = self.features(lr, fused=fused)
        maps = (*reversed(features.upsampled), features.last)
        return self.decoder.conditions(maps, features.stacked, fused=fused)

    @torch.no_grad()
    def decode(self, latents: Sequence[Tensor], conditions: Conditions) -> Tensor:
        """Candidates ``(B, 3, H, W)`` float32, unclamped, from latents ``(B, C, h, w)``, splits first."""
        return self.decoder(latents, conditions)

    @torch.no_grad()
    def regression(self, lr: Tensor) -> Tensor:
        """The encoder's own super-resolution of ``(1, 3, h, w)``, float32, unclamped."""
        out: Tensor = self.encoder.head(self.features(lr, fused=self._fused(lr)))
        return out


def _encoder_dtype(dtype: torch.dtype, device: torch.device) -> torch.dtype:
    if dtype == torch.bfloat16:
        return torch.float16 if device.type == "cuda" else torch.float32
    return dtype


def prepared(network: Network, device: torch.device, dtype: torch.dtype) -> Network:
    """A copy of an encoder or a fusion network for inference; a fusion network still sums and returns float32.

    Args:
        network: on any device.
        device: of the copy.
        dtype: of its convolutions.
    """
    twin = copy.deepcopy(network).eval().requires_grad_(False).to(device, dtype)
    return twin.to(memory_format=layout_for(device))  # type: ignore[call-overload, no-any-return]
