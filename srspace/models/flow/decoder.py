"""Decoding many candidates: the flow's inverse with everything that the weights allow computed beforehand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from srspace.models import kernels
from srspace.models.convolution import Convolution, from_module
from srspace.models.flow.coupling import ConditionalAffineCoupling, ScaledConv2d, Subnet
from srspace.models.flow.flow import ConditionalFlow, FlowLevel
from srspace.models.flow.step import inverse_linear


class StepCondition(NamedTuple):
    """What one step's inverse takes from the LR image alone.

    With the injector's inverse ``v / scale - shift`` and the linear map's inverse ``M v + b`` that follows it, the
    step ends in ``M (gain * v) + offset`` where ``gain = 1 / scale`` and ``offset = b - M shift``.

    Attributes:
        hidden: the condition's part of the affine subnet's first convolution, ``(1, hidden, H, W)``.
        gain: ``(1, C, H, W)`` float32.
        offset: ``(1, C, H, W)`` float32.
        fused: whether the step's kernels are to be used.
    """

    hidden: Tensor
    gain: Tensor
    offset: Tensor
    fused: bool


class StepDecoder:
    """The inverse of one coupling and of the linear maps up to the next one.

    Args:
        coupling: the coupling.
        matrix: inverse of the linear maps that precede the coupling in encoding order, ``(C, C)`` float64.
        bias: its constant part, ``(C,)`` float64.
        dtype: of the subnets' arithmetic.
    """

    def __init__(self, coupling: ConditionalAffineCoupling, matrix: Tensor, bias: Tensor, dtype: torch.dtype) -> None:
        device = coupling.f_affine.first.weight.device
        self.kept, self.eps = coupling.kept, coupling.eps
        self.matrix = matrix.to(device, torch.float32)
        self.bias = bias.to(device, torch.float32)
        features, affine = coupling.f_features, coupling.f_affine
        self.features = [from_module(layer, dtype, F.relu_) for layer in _hidden(features)]
        self.features_last = _last(features, dtype)
        weight = affine.first.weight.detach()[:, : self.kept]
        self.first = Convolution(weight, None, dtype)
        self.hidden = [from_module(layer, dtype, F.relu_) for layer in _hidden(affine)]
        self.last = _last(affine, dtype)
        self.fused = dtype != torch.float32 and kernels.available(device) and weight.shape[0] in (16, 32, 64, 128)
        if self.fused:
            self._pack(weight)

    def _pack(self, first: Tensor) -> None:
        weight, bias = self.last.weight, self.last.bias
        changed = weight.shape[0] // 2
        channels = self.kept + changed
        pad, out = kernels.padded(max(self.kept, changed)), kernels.padded(channels)
        self.first_rows = kernels.pack_first(first.to(self.first.weight.dtype))
        # Both halves of the state are padded to one width, so the last convolution's outputs are as well.
        turns = F.pad(weight.unflatten(0, (2, changed)), (0, 0, 0, 0, 0, 0, 0, pad - changed)).transpose(0, 1)
        self.last_taps = kernels.pack_last(turns.flatten(0, 1))
        turns = F.pad(_given(bias).float().unflatten(0, (2, changed)), (0, pad - changed)).t()
        self.last_bias = turns.flatten().contiguous()
        mix = self.matrix.new_zeros(2, pad, out)
        mix[0, : self.kept, :channels] = self.matrix[:, : self.kept].t()
        mix[1, :changed, :channels] = self.matrix[:, self.kept :].t()
        self.mix = mix

    def condition(self, features: Tensor, hidden: Tensor, *, fused: bool) -> StepCondition:
        """Finish the shared part.

        Args:
            features: output of the injector subnet's first layer, ``(1, hidden, H, W)``.
            hidden: the condition's part of the affine subnet's first convolution.
            fused: use the kernels, if this step has them.
        """
        for layer in self.features:
            features = layer(features)
        shift, logit = self.features_last(features).float().chunk(2, 1)
        gain = (torch.sigmoid(logit) + self.eps).reciprocal_()
        offset = self.bias[:, None] - self.matrix @ shift.flatten(2)
        return StepCondition(hidden, gain.contiguous(), offset.reshape(gain.shape), self.fused and fused)

    def warm_up(self) -> Iterator[None]:
        """Run every kernel once; yields after each."""
        channels, width = self.matrix.shape[0], self.first.weight.shape[0]
        y = self.matrix.new_zeros(1, channels, 8, 8)
        hidden = torch.zeros_like(y[:, :1]).to(self.first.weight.dtype).repeat(1, width, 1, 1)
        hidden = hidden.contiguous(memory_format=self.first.layout)
        x = kernels.first_layer(y, self.first_rows, hidden)
        yield
        self._last_layer(x, y, StepCondition(hidden, y, y, fused=True), out=torch.empty_like(y))
        yield

    def _last_layer(self, x: Tensor, y: Tensor, condition: StepCondition, out: Tensor) -> Tensor:
        return kernels.last_layer(
            x, y, self.last_taps, self.last_bias, condition.gain, condition.offset, self.mix,
            kept=self.kept, eps=self.eps, out=out,
        )  # fmt: skip

    def __call__(self, y: Tensor, condition: StepCondition, *, in_place: bool) -> Tensor:
        """Decode ``(B, C, H, W)`` float32, contiguous; ``in_place`` allows to reuse its memory."""
        if condition.fused:
            x = kernels.first_layer(y, self.first_rows, condition.hidden)
            for layer in self.hidden:
                x = layer(x)
            return self._last_layer(x, y, condition, out=y if in_place else torch.empty_like(y))
        x = self.first(y[:, : self.kept])
        x = F.relu_(x.add_(condition.hidden))
        for layer in self.hidden:
            x = layer(x)
        shift, logit = self.last(x).float().chunk(2, 1)
        v = y if in_place else torch.empty_like(y)
        changed = y[:, self.kept :] / (torch.sigmoid(logit) + self.eps) - shift
        torch.mul(y[:, : self.kept], condition.gain[:, : self.kept], out=v[:, : self.kept])
        torch.mul(changed, condition.gain[:, self.kept :], out=v[:, self.kept :])
        return torch.matmul(self.matrix, v.flatten(2)).add_(condition.offset.flatten(2)).reshape(y.shape)


class LevelDecoder:
    """The inverse of one level."""

    def __init__(self, level: FlowLevel, dtype: torch.dtype) -> None:
        self.squeeze, self.split = level.squeeze, level.split
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
            torch.cat([f.weight.detach() for f, _ in firsts]), torch.cat([_given(f.bias) for f, _ in firsts]),
            dtype, F.relu_,
        )  # fmt: skip
        self.hidden = Convolution(
            torch.cat([a.weight.detach()[:, kept:] for _, a in firsts]), torch.cat([_given(a.bias) for _, a in firsts]),
            dtype,
        )  # fmt: skip
        self.prior = None if self.split is None else _last_of(self.split.conv, dtype, logit_bias=0.0)

    def conditions(self, condition: Tensor, *, fused: bool) -> tuple[StepCondition, ...]:
        """What all candidates share, from ``(1, condition_channels, H, W)``."""
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

    It is a copy: later changes of the flow's weights or device do not reach it.

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

    def conditions(
        self, maps: Sequence[Tensor], stacked: Tensor, *, fused: bool
    ) -> tuple[tuple[StepCondition, ...], ...]:
        """What all candidates of one image share.

        Args:
            maps: as of :meth:`ConditionalFlow.conditions`, of batch 1.
            stacked: likewise.
            fused: use the kernels, where a step has them.
        """
        out = []
        stacked = stacked.to(self.dtype)
        for level, features in zip(self.levels, maps, strict=True):
            resized = F.interpolate(stacked, size=features.shape[-2:], mode="nearest")
            out.append(level.conditions(torch.cat((features.to(resized.dtype), resized), 1), fused=fused))
        return tuple(out)

    def __call__(self, latents: Sequence[Tensor], conditions: Sequence[Sequence[StepCondition]]) -> Tensor:
        """Decode ``(B, C, H, W)`` latents, splits first, to ``(B, 3, H, W)`` float32, unclamped."""
        if len(latents) != len(self.levels):
            raise ValueError(f"{len(self.levels)} latents are needed, not {len(latents)}")
        y = latents[-1]
        for i in reversed(range(len(self.levels))):
            y = self.levels[i](y, latents[i] if i < len(self.levels) - 1 else None, conditions[i])
        return y


def _hidden(subnet: Subnet) -> list[torch.nn.Conv2d]:
    return [layer for layer in list(subnet)[1:-1] if isinstance(layer, torch.nn.Conv2d)]


def _last(subnet: Subnet, dtype: torch.dtype) -> Convolution:
    return _last_of(subnet[-1], dtype, logit_bias=2.0)  # type: ignore[arg-type]


def _last_of(conv: ScaledConv2d, dtype: torch.dtype, *, logit_bias: float) -> Convolution:
    """The gain ``exp(3 logs)`` folded in, and the interleaved outputs sorted into halves."""
    gain = (conv.logs.detach().double() * 3).exp()
    weight, bias = conv.weight.detach() * gain[..., None], _given(conv.bias) * gain.flatten()
    first, second = bias[0::2], bias[1::2] + logit_bias
    return Convolution(torch.cat((weight[0::2], weight[1::2])), torch.cat((first, second)), dtype)


def _given(bias: Tensor | None) -> Tensor:
    if bias is None:
        raise ValueError("a convolution of the flow has no bias")
    return bias.detach()
