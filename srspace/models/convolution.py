"""A 3x3 convolution prepared for inference: weights laid out once, the activation joined to it where that is free."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Activation = Callable[[Tensor], Tensor]


class Convolution:
    """Same-size 3x3 convolution, in ``dtype`` and, on a CPU or NVIDIA GPU, channels last; it keeps copies.

    Args:
        weight: ``(out, in, 3, 3)``.
        bias: ``(out,)`` or None.
        dtype: of weights, input and output.
        activation: applied to the output in place.
    """

    def __init__(
        self, weight: Tensor, bias: Tensor | None, dtype: torch.dtype, activation: Activation | None = None
    ) -> None:
        device = weight.device.type
        self.layout = layout = layout_for(weight.device)
        self.weight = weight.detach().to(dtype, copy=True).contiguous(memory_format=layout)
        self.bias = None if bias is None else bias.detach().to(dtype, copy=True).contiguous()
        self.activation = activation
        # cuDNN adds the bias in a pass of its own unless a ReLU comes along.
        self.fused = (
            device == "cuda"
            and dtype != torch.float32
            and activation is F.relu_
            and bias is not None
            and hasattr(torch, "cudnn_convolution_relu")
        )

    def __call__(self, x: Tensor) -> Tensor:
        x = x.to(self.weight.dtype, memory_format=self.layout)
        if self.fused:
            return torch.cudnn_convolution_relu(x, self.weight, self.bias, (1, 1), (1, 1), (1, 1), 1)
        out = F.conv2d(x, self.weight, self.bias, padding=1)
        return out if self.activation is None else self.activation(out)


def from_module(module: nn.Conv2d, dtype: torch.dtype, activation: Activation | None = None) -> Convolution:
    """Prepare a 3x3 module's weights."""
    return Convolution(module.weight, module.bias, dtype, activation)


def layout_for(device: torch.device) -> torch.memory_format:
    """The memory format in which convolutions are fastest."""
    return torch.channels_last if device.type in ("cpu", "cuda") else torch.contiguous_format
