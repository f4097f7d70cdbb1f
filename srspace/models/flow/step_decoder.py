"""The inverse of one step, prepared for decoding: what the weights alone decide is computed beforehand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from srspace.models import kernels
from srspace.models.convolution import Convolution, from_module
from srspace.models.flow.coupling import ConditionalAffineCoupling, ScaledConv2d, Subnet


class StepCondition(NamedTuple):
    """What one step's inverse takes from the LR image alone.

    With the injector's inverse ``v / scale - shift`` and the linear map's inverse ``M v + b`` that follows it, the
    step ends in ``M (gain * v) + offset`` where ``gain = 1 / scale`` and ``offset = b - M shift``.

    B is 1 where all candidates are of one image; otherwise each candidate has a condition of its own.

    Attributes:
        hidden: the condition's part of the affine subnet's first convolution, ``(B, hidden, H, W)``.
        gain: ``(B, C, H, W)`` float32.
        offset: ``(B, C, H, W)`` float32.
        fused: whether the step's kernels are to be used, which take conditions of one image.
    """

    hidden: Tensor
    gain: Tensor
    offset: Tensor
    fused: bool

    def select(self, index: Tensor) -> StepCondition:
        """That of some images of the batch, which may come several times."""
        hidden, gain, offset = (x.index_select(0, index) for x in (self.hidden, self.gain, self.offset))
        if self.hidden.is_contiguous(memory_format=torch.channels_last):
            hidden = hidden.contiguous(memory_format=torch.channels_last)
        return StepCondition(hidden, gain, offset, fused=False)


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
        turns = F.pad(given(bias).float().unflatten(0, (2, changed)), (0, pad - changed)).t()
        self.last_bias = turns.flatten().contiguous()
        mix = self.matrix.new_zeros(2, pad, out)
        mix[0, : self.kept, :channels] = self.matrix[:, : self.kept].t()
        mix[1, :changed, :channels] = self.matrix[:, self.kept :].t()
        self.mix = mix

    def condition(self, features: Tensor, hidden: Tensor, *, fused: bool) -> StepCondition:
        """Finish the shared part.

        Args:
            features: output of the injector subnet's first layer, ``(B, hidden, H, W)``.
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


def _hidden(subnet: Subnet) -> list[torch.nn.Conv2d]:
    return [layer for layer in list(subnet)[1:-1] if isinstance(layer, torch.nn.Conv2d)]


def _last(subnet: Subnet, dtype: torch.dtype) -> Convolution:
    return packed(subnet[-1], dtype, logit_bias=2.0)  # type: ignore[arg-type]


def packed(conv: ScaledConv2d, dtype: torch.dtype, *, logit_bias: float) -> Convolution:
    """A subnet's last convolution: its gain ``exp(3 logs)`` folded in, its interleaved outputs sorted into halves."""
    gain = (conv.logs.detach().double() * 3).exp()
    weight, bias = conv.weight.detach() * gain[..., None], given(conv.bias) * gain.flatten()
    first, second = bias[0::2], bias[1::2] + logit_bias
    return Convolution(torch.cat((weight[0::2], weight[1::2])), torch.cat((first, second)), dtype)


def given(bias: Tensor | None) -> Tensor:
    """A bias that is there."""
    if bias is None:
        raise ValueError("a convolution of the flow has no bias")
    return bias.detach()
