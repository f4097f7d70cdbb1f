"""One step of the flow: actnorm, invertible 1x1 convolution and, unless it is a transition, a coupling."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from srspace.models.flow.actnorm import ActNorm2d
from srspace.models.flow.coupling import ConditionalAffineCoupling, CouplingCondition
from srspace.models.flow.permutation import InvertibleConv1x1


class FlowStep(nn.Module):
    """A step of the flow, in the encoding direction.

    Args:
        channels: C of the ``(B, C, H, W)`` input.
        coupling: the coupling that closes the step, or None for a transition step.
    """

    def __init__(self, channels: int, coupling: ConditionalAffineCoupling | None = None) -> None:
        super().__init__()
        self.actnorm = ActNorm2d(channels)
        self.invconv = InvertibleConv1x1(channels)
        self.coupling = coupling

    def forward(self, x: Tensor, condition: CouplingCondition | None = None) -> tuple[Tensor, Tensor]:
        """Encode; returns the result and the log-determinant ``(B,)``."""
        with torch.autocast(x.device.type, enabled=False):
            x, log_det = self.actnorm(x)
            x, log_det_conv = self.invconv(x)
        log_det = log_det + log_det_conv
        if self.coupling is not None:
            if condition is None:
                raise ValueError("a step with a coupling needs its condition")
            x, log_det_coupling = self.coupling(x, condition)
            log_det = log_det + log_det_coupling
        return x, log_det

    def inverse(self, y: Tensor, condition: CouplingCondition | None = None) -> Tensor:
        """Undo :meth:`forward`, differentiably and without waiting for the device."""
        if self.coupling is not None:
            if condition is None:
                raise ValueError("a step with a coupling needs its condition")
            y = self.coupling.inverse(y, condition)
        with torch.autocast(y.device.type, enabled=False):
            return self.actnorm.inverse(self.invconv.inverse(y))

    def linear(self) -> tuple[Tensor, Tensor]:
        """Actnorm and 1x1 convolution as one affine map ``y = A x + b``, in float64 on the CPU."""
        bias, logs = self.actnorm.bias.detach().double().cpu(), self.actnorm.logs.detach().double().cpu()
        matrix = self.invconv.weight.detach().double().cpu() * logs.exp().flatten()
        return matrix, matrix @ bias.flatten()


def inverse_linear(steps: Sequence[FlowStep]) -> tuple[Tensor, Tensor]:
    """The exact inverse of the affine maps of consecutive steps, as one: ``x = matrix y + bias``.

    Args:
        steps: steps in encoding order; their couplings are not part of the map.

    Returns:
        ``(C, C)`` and ``(C,)``, float64 on the CPU.
    """
    matrix, bias = steps[0].linear()
    for step in steps[1:]:
        outer, outer_bias = step.linear()
        matrix, bias = outer @ matrix, outer @ bias + outer_bias
    inverse = torch.linalg.inv(matrix)
    return inverse, -inverse @ bias
