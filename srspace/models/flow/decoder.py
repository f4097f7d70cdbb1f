"""Decoding many candidates: the flow's inverse with everything that the weights allow computed beforehand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from srspace.models.convolution import Convolution
from srspace.models.flow.coupling import ConditionalAffineCoupling
from srspace.models.flow.flow import ConditionalFlow, FlowLevel
from srspace.models.flow.step import inverse_linear
from srspace.models.flow.step_decoder import StepCondition, StepDecoder, given, packed


@dataclass(frozen=True)
class DecoderConditions:
    """What decoding takes from LR images: per level, one condition per step."""

    levels: tuple[tuple[StepCondition, ...], ...]

    def select(self, index: Tensor) -> DecoderConditions:
        """Those of some images of the batch, which may come several times.

        Args:
            index: ``(n,)`` int64, on the device.
        """
        return DecoderConditions(tuple(tuple(step.select(index) for step in level) for level in self.levels))


class LevelDecoder:
    """The inverse of one level."""

    def __init__(self, level: FlowLevel, dtype: torch.dtype) -> None:
        self.squeeze = level.squeeze
        steps = list(level.steps)
        self.steps: list[StepDecoder] = []
        for i, step in enumerate(steps):
            # The transition steps and the first conditional step have no coupling between them: one map.
            before = [*level.transitions, step] if i == 0 else [step]
            matrix, bias = inverse_linear(before)  # type: ignore[arg-type]
            self.steps.append(StepDecoder(step.coupling, matrix, bias, dtype))  # type: ignore[arg-type]
        couplings: list[ConditionalAffineCoupling] = [step.coupling for step in steps]  # type: ignore[misc]
        firsts = [(c.f_features.first, c.f_affine.first) for c in couplings]
        kept = self.steps[0].kept
        self.features = Convolution(
            torch.cat([f.weight.detach() for f, _ in firsts]), torch.cat([given(f.bias) for f, _ in firsts]),
            dtype, F.relu_,
        )  # fmt: skip
        self.hidden = Convolution(
            torch.cat([a.weight.detach()[:, kept:] for _, a in firsts]), torch.cat([given(a.bias) for _, a in firsts]),
            dtype,
        )  # fmt: skip
        self.prior = None if level.split is None else packed(level.split.conv, dtype, logit_bias=0.0)

    def conditions(self, condition: Tensor, *, fused: bool) -> tuple[StepCondition, ...]:
        """What all candidates share, from ``(B, condition_channels, H, W)``."""
        count, layout = len(self.steps), self.hidden.layout
        hidden = [part.contiguous(memory_format=layout) for part in self.hidden(condition).chunk(count, 1)]
        features = self.features(condition).chunk(count, 1)
        return tuple(s.condition(f, h, fused=fused) for s, f, h in zip(self.steps, features, hidden, strict=True))

    def __call__(self, y: Tensor, latent: Tensor | None, conditions: Sequence[StepCondition]) -> Tensor:
        owned = False
        if self.prior is not None and latent is not None:
            mean, logs = self.prior(y).float().chunk(2, 1)
            y, owned = torch.cat((y, latent * logs.exp_() + mean), 1), True
        for step, condition in zip(reversed(self.steps), reversed(conditions), strict=True):
            y, owned = step(y, condition, in_place=owned), True
        out: Tensor = self.squeeze.inverse(y)
        return out


class FlowDecoder:
    """A flow prepared for decoding: weights packed for one precision, inverses taken once in float64.

    It is a copy: later changes of the flow's weights or device do not reach it. No call waits for the device, so that
    a CUDA graph can hold it, and none is differentiable: for that there is :meth:`ConditionalFlow.inverse`.

    Args:
        flow: the flow, on its device.
        dtype: of the subnets' arithmetic; the state is float32 throughout.
    """

    def __init__(self, flow: ConditionalFlow, dtype: torch.dtype) -> None:
        self.dtype = dtype
        with torch.no_grad():
            self.levels = [LevelDecoder(level, dtype) for level in flow.levels]  # type: ignore[arg-type]
        self.fused = any(step.fused for level in self.levels for step in level.steps)

    def warm_up(self) -> Iterator[None]:
        """Run every kernel once; yields after each."""
        for level in self.levels:
            if level.steps[0].fused:
                yield from level.steps[0].warm_up()

    def conditions(self, maps: Sequence[Tensor], stacked: Tensor, *, fused: bool = False) -> DecoderConditions:
        """What all candidates of an image share.

        Args:
            maps: the encoder's maps, one per level, finest first, ``(B, nf, H, W)``.
            stacked: stacked trunk outputs at LR size, ``(B, n * nf, h, w)``.
            fused: use the kernels, where a step has them; they take one image at a time.
        """
        out = []
        stacked, fused = stacked.to(self.dtype), fused and stacked.shape[0] == 1
        for level, features in zip(self.levels, maps, strict=True):
            resized = F.interpolate(stacked, size=features.shape[-2:], mode="nearest")
            out.append(level.conditions(torch.cat((features.to(resized.dtype), resized), 1), fused=fused))
        return DecoderConditions(tuple(out))

    def __call__(self, latents: Sequence[Tensor], conditions: DecoderConditions) -> Tensor:
        """Decode candidates.

        Args:
            latents: ``(B, C, H, W)`` float32 per level, splits first.
            conditions: of one image, which then serve all B candidates, or one of its own for each candidate.

        Returns:
            ``(B, 3, H, W)`` float32, unclamped.
        """
        if len(latents) != len(self.levels):
            raise ValueError(f"{len(self.levels)} latents are needed, not {len(latents)}")
        y = latents[-1]
        for i in reversed(range(len(self.levels))):
            y = self.levels[i](y, latents[i] if i < len(self.levels) - 1 else None, conditions.levels[i])
        return y
