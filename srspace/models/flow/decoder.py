"""Decoding many candidates: the flow's inverse with everything that the weights allow computed beforehand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from srspace.models.convolution import Activation, Convolution
from srspace.models.enlarged import EnlargedConvolution
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


class ConditionConvolution:
    """A convolution of a level's own features and of the stacked trunk outputs, enlarged to their size.

    Args:
        weight: ``(out, own + stacked, 3, 3)``.
        bias: ``(out,)``.
        dtype: of the arithmetic.
        own: channels of the level's own features, where they are larger than the stacked outputs; else None.
        activation: applied to the output in place.
    """

    def __init__(
        self, weight: Tensor, bias: Tensor, dtype: torch.dtype, own: int | None, activation: Activation | None = None
    ) -> None:
        self.activation: Activation | None = None
        self.enlarged: EnlargedConvolution | None = None
        if own is not None and EnlargedConvolution.pays(weight.device, dtype):
            self.activation, activation = activation, None
            self.enlarged = EnlargedConvolution(weight[:, own:], None, dtype)
            weight = weight[:, :own]
        self.convolution = Convolution(weight, bias, dtype, activation)

    def __call__(self, features: Tensor, stacked: Tensor) -> Tensor:
        """Of ``(B, own, H, W)`` and ``(B, stacked, h, w)``; H is h or a power of two times that."""
        height, width = features.shape[-2:]
        if self.enlarged is None:
            return self.convolution(torch.cat((features, _enlarged(stacked, height, width)), 1))
        out = self.convolution(features)
        out += self.enlarged(_enlarged(stacked, height // 2, width // 2))
        return out if self.activation is None else self.activation(out)


class LevelDecoder:
    """The inverse of one level."""

    def __init__(self, level: FlowLevel, dtype: torch.dtype, own: int | None) -> None:
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
        self.features = ConditionConvolution(
            torch.cat([f.weight.detach() for f, _ in firsts]), torch.cat([given(f.bias) for f, _ in firsts]),
            dtype, own, F.relu_,
        )  # fmt: skip
        self.hidden = ConditionConvolution(
            torch.cat([a.weight.detach()[:, kept:] for _, a in firsts]), torch.cat([given(a.bias) for _, a in firsts]),
            dtype, own,
        )  # fmt: skip
        self.prior = None if level.split is None else packed(level.split.conv, dtype, logit_bias=0.0)

    def conditions(self, own: Tensor, stacked: Tensor, *, fused: bool) -> tuple[StepCondition, ...]:
        """What all candidates share, from ``(B, nf, H, W)`` and the stacked trunk outputs at LR size."""
        count, layout = len(self.steps), self.hidden.convolution.layout
        hidden = [part.contiguous(memory_format=layout) for part in self.hidden(own, stacked).chunk(count, 1)]
        features = self.features(own, stacked).chunk(count, 1)
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
            larger = [flow.feature_channels] * (len(flow.levels) - 1)  # all but the last level's maps
            self.levels = [
                LevelDecoder(level, dtype, own)  # type: ignore[arg-type]
                for level, own in zip(flow.levels, [*larger, None], strict=True)
            ]
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
            out.append(level.conditions(features.to(self.dtype), stacked, fused=fused))
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


def _enlarged(stacked: Tensor, height: int, width: int) -> Tensor:
    if stacked.shape[-2:] == (height, width):
        return stacked
    return F.interpolate(stacked, size=(height, width), mode="nearest")
