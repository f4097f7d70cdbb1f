"""The conditional affine coupling and the convolutional subnets that drive it."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ScaledConv2d(nn.Conv2d):
    """A 3x3 convolution that starts at zero, with a learned output gain ``exp(3 * logs)``."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels, 3, padding=1)
        self.logs = nn.Parameter(torch.zeros(out_channels, 1, 1))
        nn.init.zeros_(self.weight)
        nn.init.zeros_(self.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).float() * (self.logs.float() * 3).exp()


class Subnet(nn.Sequential):
    """conv, relu, ``hidden_layers`` times [conv, relu], then a :class:`ScaledConv2d`.

    The first convolution is linear in its input, so its part for the conditioning features can be computed
    apart and shared; ``rest`` goes on from there.
    """

    def __init__(self, in_channels: int, hidden_channels: int, out_channels: int, hidden_layers: int) -> None:
        layers: list[nn.Module] = []
        for i in range(hidden_layers + 1):
            layers += [nn.Conv2d(hidden_channels if i else in_channels, hidden_channels, 3, padding=1), nn.ReLU()]
        super().__init__(*layers, ScaledConv2d(hidden_channels, out_channels))

    @property
    def first(self) -> nn.Conv2d:
        return self[0]  # type: ignore[return-value]

    def rest(self, x: Tensor) -> Tensor:
        """Everything after the first convolution."""
        for layer in list(self)[1:]:
            x = layer(x)
        return x


class CouplingCondition(NamedTuple):
    """What a coupling takes from the LR image alone, computed once and shared by all candidates.

    Attributes:
        shift: added to all channels, ``(B, C, H, W)`` float32.
        scale: multiplies all channels after the shift, ``(B, C, H, W)`` float32.
        hidden: the conditioning part of the affine subnet's first convolution, ``(B, hidden, H, W)``.
    """

    shift: Tensor
    scale: Tensor
    hidden: Tensor


class ConditionalAffineCoupling(nn.Module):
    """Affine injector from the condition alone, then affine coupling (Lugmayr et al., 2020).

    Args:
        channels: C of the ``(B, C, H, W)`` input; the first ``C // 2`` pass the coupling unchanged.
        condition_channels: channels of the conditioning features.
        hidden_channels: width of both subnets.
        hidden_layers: inner convolutions of both subnets.
        eps: lower bound of the scales, which bounds the inverse.
    """

    def __init__(
        self, channels: int, condition_channels: int, hidden_channels: int, hidden_layers: int, eps: float
    ) -> None:
        super().__init__()
        self.kept = channels // 2
        self.eps = eps
        changed = channels - self.kept
        self.f_features = Subnet(condition_channels, hidden_channels, 2 * channels, hidden_layers)
        self.f_affine = Subnet(self.kept + condition_channels, hidden_channels, 2 * changed, hidden_layers)

    def shared_weight(self) -> tuple[Tensor, Tensor]:
        """Weight and bias of the one convolution over the condition that feeds both subnets."""
        features, affine = self.f_features.first, self.f_affine.first
        weight = torch.cat((features.weight, affine.weight[:, self.kept :]))
        return weight, torch.cat((features.bias, affine.bias))  # type: ignore[arg-type]

    def condition(self, shared: Tensor) -> CouplingCondition:
        """Finish the shared part.

        Args:
            shared: output of the convolution given by :meth:`shared_weight`, ``(B, 2 * hidden, H, W)``.
        """
        features, hidden = shared.chunk(2, 1)
        shift, scale = self._shift_and_scale(self.f_features.rest(features))
        return CouplingCondition(shift, scale, hidden)

    def forward(self, x: Tensor, condition: CouplingCondition) -> tuple[Tensor, Tensor]:
        """Transform ``x``; returns the result and the log-determinant ``(B,)``."""
        x = (x + condition.shift) * condition.scale
        kept, changed = x[:, : self.kept], x[:, self.kept :]
        shift, scale = self._affine(kept, condition)
        changed = (changed + shift) * scale
        log_det = condition.scale.log().sum((1, 2, 3)) + scale.log().sum((1, 2, 3))
        return torch.cat((kept, changed), 1), log_det

    def inverse(self, y: Tensor, condition: CouplingCondition) -> Tensor:
        """Undo :meth:`forward`; ``y`` may hold N candidates against a condition of batch 1."""
        kept, changed = y[:, : self.kept], y[:, self.kept :]
        shift, scale = self._affine(kept, condition)
        return torch.cat((kept, changed / scale - shift), 1) / condition.scale - condition.shift

    def _affine(self, kept: Tensor, condition: CouplingCondition) -> tuple[Tensor, Tensor]:
        weight = self.f_affine.first.weight[:, : self.kept]
        hidden = F.conv2d(kept.to(weight.dtype), weight, padding=1) + condition.hidden
        return self._shift_and_scale(self.f_affine.rest(hidden))

    def _shift_and_scale(self, raw: Tensor) -> tuple[Tensor, Tensor]:
        shift, scale = raw[:, 0::2], raw[:, 1::2]
        return shift, torch.sigmoid(scale + 2) + self.eps
