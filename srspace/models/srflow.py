"""The whole model: an RRDB encoder and the conditional flow on its features."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from srspace.config import FlowConfig, RRDBConfig
from srspace.models.flow import ConditionalFlow, FlowConditions, standard_normal_log_prob
from srspace.models.flow.coupling import Subnet
from srspace.models.flow.reshape import Split2d
from srspace.models.rrdb import RRDBFeatures, RRDBNet


class SRFlow(nn.Module):
    """Conditional flow for super-resolution: SRFlow (Lugmayr et al., 2020) in the form of SRFlow-DA (Jo et al., 2021).

    Args:
        encoder_config: sizes of the encoder.
        flow_config: sizes of the flow.

    Raises:
        ValueError: the two do not fit together.
    """

    def __init__(self, encoder_config: RRDBConfig, flow_config: FlowConfig) -> None:
        super().__init__()
        if encoder_config.scale != flow_config.scale:
            raise ValueError(f"the encoder upscales by {encoder_config.scale}, the flow by {flow_config.scale}")
        if max(flow_config.stack_blocks) >= encoder_config.nb:
            raise ValueError(
                f"stack_blocks names block {max(flow_config.stack_blocks)}, the encoder has {encoder_config.nb}"
            )
        self.encoder = RRDBNet(encoder_config)
        self.flow = ConditionalFlow(flow_config, encoder_config.nf)

    @property
    def scale(self) -> int:
        return self.flow.config.scale

    def features(self, lr: Tensor) -> RRDBFeatures:
        """The encoder's features of ``lr`` ``(B, 3, h, w)``, as the flow needs them."""
        config = self.flow.config
        return self.encoder.encode(lr, config.stack_blocks, config.levels - 1)

    def condition_maps(self, features: RRDBFeatures) -> Iterator[Tensor]:
        """See :meth:`srspace.models.flow.ConditionalFlow.condition_maps`."""
        maps = (*reversed(features.upsampled[: self.flow.config.levels - 1]), features.last)
        return self.flow.condition_maps(maps, features.stacked)

    def conditions(self, features: RRDBFeatures) -> FlowConditions:
        """What all candidates of the image share; compute it once per image."""
        return self.flow.conditions(self.condition_maps(features))

    def log_likelihood(self, hr: Tensor, conditions: FlowConditions) -> tuple[list[Tensor], Tensor]:
        """Latents of ``hr`` and its log-likelihood ``(B,)`` in nats."""
        latents, log_det = self.flow(hr, conditions)
        return latents, log_det + torch.stack([standard_normal_log_prob(z) for z in latents]).sum(0)

    def encode(self, hr: Tensor, lr: Tensor) -> tuple[list[Tensor], Tensor]:
        """Latents and negative log-likelihood of an image.

        Args:
            hr: ``(B, 3, scale * h, scale * w)`` float32 in [0, 1].
            lr: ``(B, 3, h, w)`` float32 in [0, 1].

        Returns:
            The latents (splits first, the final latent last) and the nll ``(B,)`` in bits per HR pixel
            (not divided by the three channels).

        Raises:
            ValueError: the two sizes do not belong together.
        """
        h, w = lr.shape[-2:]
        if hr.shape != (lr.shape[0], 3, h * self.scale, w * self.scale) or lr.shape[1] != 3:
            raise ValueError(f"hr {tuple(hr.shape)} is not {self.scale} times lr {tuple(lr.shape)}")
        latents, log_likelihood = self.log_likelihood(hr, self.conditions(self.features(lr)))
        return latents, -log_likelihood / (math.log(2) * hr.shape[2] * hr.shape[3])

    def decode(self, lr: Tensor, latents: Sequence[Tensor]) -> Tensor:
        """The image that belongs to ``latents``: ``(B, 3, scale * h, scale * w)`` float32, unclamped.

        Raises:
            ValueError: the latents are not of the shapes that ``lr`` asks for.
        """
        shapes = self.flow.latent_shapes(lr.shape[2] * self.scale, lr.shape[3] * self.scale)
        if [tuple(z.shape[1:]) for z in latents] != shapes:
            raise ValueError(f"latents must have the shapes {shapes}, not {[tuple(z.shape[1:]) for z in latents]}")
        return self.flow.inverse(latents, self.conditions(self.features(lr)))

    def forward(self, hr: Tensor, lr: Tensor) -> tuple[list[Tensor], Tensor]:
        """Same as :meth:`encode`."""
        return self.encode(hr, lr)

    def set_subnet_dtype(self, dtype: torch.dtype) -> SRFlow:
        """Run the encoder and the subnets in ``dtype``; the flow's affine arithmetic stays in float32."""
        self.encoder.to(dtype)
        for module in self.flow.modules():
            if isinstance(module, Subnet | Split2d):
                module.to(dtype)
        return self
