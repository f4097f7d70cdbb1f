"""One step of the flow: actnorm, invertible 1x1 convolution and, unless it is a transition, a coupling."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
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


class InverseLinear:
    """:func:`inverse_linear` as a 1x1 convolution, computed again only when a weight has changed.

    Where gradients are wanted, the maps are inverted one by one on their device, in every call.

    Args:
        steps: steps in encoding order.
    """

    def __init__(self, steps: Sequence[FlowStep]) -> None:
        self._steps = list(steps)
        self._key: tuple[object, ...] = ()
        self._weight = self._bias = torch.empty(0)

    def __call__(self, y: Tensor) -> Tensor:
        parameters = [p for s in self._steps for p in (s.actnorm.bias, s.actnorm.logs, s.invconv.weight)]
        if torch.is_grad_enabled() and any(p.requires_grad for p in parameters):
            with torch.autocast(y.device.type, enabled=False):
                for step in reversed(self._steps):
                    y = step.actnorm.inverse(step.invconv.inverse(y))
                return y
        key = (y.device, y.dtype, *((p.data_ptr(), p._version) for p in parameters))
        if key != self._key:
            matrix, bias = inverse_linear(self._steps)
            self._weight, self._bias, self._key = matrix.to(y)[:, :, None, None], bias.to(y), key
        with torch.autocast(y.device.type, enabled=False):
            return F.conv2d(y, self._weight, self._bias)
