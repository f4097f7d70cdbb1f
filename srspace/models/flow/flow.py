"""The conditional flow: levels of steps between an HR image and its latents, given features of the LR image."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from srspace.config import FlowConfig
from srspace.models.flow.coupling import ConditionalAffineCoupling, CouplingCondition
from srspace.models.flow.reshape import Split2d, Squeeze2d
from srspace.models.flow.step import FlowStep


@dataclass(frozen=True)
class FlowConditions:
    """Everything that decoding and encoding need of one LR image: per level, one condition per coupling."""

    levels: tuple[tuple[CouplingCondition, ...], ...]

    def select(self, index: Tensor) -> FlowConditions:
        """Those of some images of the batch, which may come several times."""
        return FlowConditions(
            tuple(
                tuple(CouplingCondition(*(x.index_select(0, index) for x in condition)) for condition in level)
                for level in self.levels
            )
        )


class FlowLevel(nn.Module):
    """Squeeze, transition steps, conditional steps and, on all levels but the last, a split.

    Args:
        channels: C before the squeeze.
        condition_channels: channels of the conditioning features at this level's resolution.
        config: sizes.
        last: whether this level ends the flow.
    """

    def __init__(self, channels: int, condition_channels: int, config: FlowConfig, last: bool) -> None:
        super().__init__()
        channels *= 4
        self.squeeze = Squeeze2d()
        self.transitions = nn.ModuleList(FlowStep(channels) for _ in range(config.coupling_free_steps))
        self.steps = nn.ModuleList(
            FlowStep(
                channels,
                ConditionalAffineCoupling(
                    channels, condition_channels, config.hidden_channels, config.hidden_layers, config.affine_eps
                ),
            )
            for _ in range(config.steps)
        )
        self.split = None if last else Split2d(channels)
        self.out_channels = channels if self.split is None else self.split.kept

    def conditions(self, features: Tensor) -> tuple[CouplingCondition, ...]:
        """Run what depends on the LR image alone, with one wide convolution for all steps.

        Args:
            features: ``(B, condition_channels, H, W)`` at this level's resolution.
        """
        shared = [step.coupling.shared_weight() for step in self.steps]  # type: ignore[union-attr, operator]
        weight = torch.cat([w for w, _ in shared])
        maps = F.conv2d(features.to(weight.dtype), weight, torch.cat([b for _, b in shared]), padding=1)
        return tuple(
            step.coupling.condition(part)  # type: ignore[union-attr, operator]
            for step, part in zip(self.steps, maps.chunk(len(self.steps), 1), strict=True)
        )

    def forward(self, x: Tensor, conditions: Sequence[CouplingCondition]) -> tuple[Tensor, Tensor | None, Tensor]:
        """Encode; returns what passes on, the split's latent (None on the last level) and the log-determinant."""
        x = self.squeeze(x)
        log_det = x.new_zeros(x.shape[0])
        for step in self.transitions:
            x, part = step(x)
            log_det = log_det + part
        for step, condition in zip(self.steps, conditions, strict=True):
            x, part = step(x, condition)
            log_det = log_det + part
        if self.split is None:
            return x, None, log_det
        x, latent, part = self.split(x)
        return x, latent, log_det + part

    def inverse(self, y: Tensor, latent: Tensor | None, conditions: Sequence[CouplingCondition]) -> Tensor:
        """Decode what :meth:`forward` passed on, with the split's latent."""
        if self.split is not None and latent is not None:
            y = self.split.inverse(y, latent)
        for step, condition in zip(reversed(self.steps), reversed(conditions), strict=True):
            y = step.inverse(y, condition)  # type: ignore[operator]
        for step in reversed(self.transitions):
            y = step.inverse(y)  # type: ignore[operator]
        out: Tensor = self.squeeze.inverse(y)
        return out


class ConditionalFlow(nn.Module):
    """SRFlow-DA's flow (Jo et al., 2021): HR image to latents and back, given features of the LR image.

    Args:
        config: sizes.
        feature_channels: channels of one encoder feature map (nf).
    """

    def __init__(self, config: FlowConfig, feature_channels: int) -> None:
        super().__init__()
        self.config, self.feature_channels = config, feature_channels
        self.condition_channels = feature_channels * (1 + len(config.stack_blocks))
        self.levels = nn.ModuleList()
        channels = 3
        for i in range(config.levels):
            level = FlowLevel(channels, self.condition_channels, config, last=i == config.levels - 1)
            self.levels.append(level)
            channels = level.out_channels

    def condition_maps(self, maps: Sequence[Tensor], stacked: Tensor) -> Iterator[Tensor]:
        """What the couplings of each level look at, finest first: ``(B, condition_channels, H, W)``.

        Args:
            maps: the encoder's maps, one per level, finest first, ``(B, nf, H, W)``.
            stacked: stacked trunk outputs at LR size.
        """
        for features in maps:
            yield torch.cat((features, F.interpolate(stacked, size=features.shape[-2:], mode="nearest")), 1)

    def conditions(self, features: Iterable[Tensor]) -> FlowConditions:
        """What all candidates of one image share, from its :meth:`condition_maps`."""
        levels = zip(self.levels, features, strict=True)
        return FlowConditions(tuple(level.conditions(seen) for level, seen in levels))  # type: ignore[operator]

    def latent_shapes(self, height: int, width: int) -> list[tuple[int, int, int]]:
        """``(C, H, W)`` of each latent of an HR image of that size: splits first, the final latent last."""
        return latent_shapes(self.config, height, width)

    def forward(self, hr: Tensor, conditions: FlowConditions) -> tuple[list[Tensor], Tensor]:
        """Encode.

        Args:
            hr: ``(B, 3, H, W)``, sides divisible by ``2 ** levels``.
            conditions: of the same images' LR versions.

        Returns:
            The latents (splits first, the final one last) and the log-determinant ``(B,)``.
        """
        x, log_det = hr, hr.new_zeros(hr.shape[0])
        latents = []
        for level, condition in zip(self.levels, conditions.levels, strict=True):
            x, latent, part = level(x, condition)
            log_det = log_det + part
            if latent is not None:
                latents.append(latent)
        return [*latents, x], log_det

    def inverse(self, latents: Sequence[Tensor], conditions: FlowConditions) -> Tensor:
        """Decode latents to ``(B, 3, H, W)``, unclamped; conditions of batch 1 serve all candidates.

        This is the plain, differentiable inverse, for training. Where no gradient is wanted
        :class:`srspace.models.flow.FlowDecoder` computes the same, several times as fast.
        """
        if len(latents) != len(self.levels):
            raise ValueError(f"{len(self.levels)} latents are needed, not {len(latents)}")
        x = latents[-1]
        for i in reversed(range(len(self.levels))):
            latent = latents[i] if i < len(self.levels) - 1 else None
            x = self.levels[i].inverse(x, latent, conditions.levels[i])  # type: ignore[operator]
        return x


def latent_shapes(config: FlowConfig, height: int, width: int) -> list[tuple[int, int, int]]:
    """``(C, H, W)`` of each latent of an HR image of that size: splits first, the final latent last."""
    shapes, channels = [], 3
    for i in range(config.levels):
        channels *= 4
        kept = 0 if i == config.levels - 1 else channels // 2
        shapes.append((channels - kept, height >> (i + 1), width >> (i + 1)))
        channels = kept
    return shapes


def standard_normal_log_prob(latent: Tensor) -> Tensor:
    """Log-density of N(0, I), summed over all but the batch: ``(B,)``."""
    return -0.5 * (latent.square() + math.log(2 * math.pi)).flatten(1).sum(1)
