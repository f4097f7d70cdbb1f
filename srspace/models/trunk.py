"""The encoder's trunk on an NVIDIA GPU: dense blocks without concatenation, activation and addition passes."""

from __future__ import annotations

import torch
from torch import Tensor

from srspace.models import kernels
from srspace.models.rrdb import RRDB, RRDBNet


class FusedTrunk:
    """The residual-in-residual dense blocks of an encoder, prepared for :func:`kernels.dense_layer`.

    A dense block lives in one tensor that holds its input and all its outputs side by side.

    Args:
        encoder: in float16 or bfloat16, on its device.
    """

    def __init__(self, encoder: RRDBNet) -> None:
        self.nf, self.gc = encoder.config.nf, encoder.config.gc
        self.blocks = [[self._packed(dense) for dense in _dense_blocks(block)] for block in encoder.RRDB_trunk]

    @staticmethod
    def fits(encoder: RRDBNet) -> bool:
        """Whether the kernels serve this encoder: its device, its precision and its sizes."""
        config, weight = encoder.config, encoder.conv_first.weight
        sizes = config.nf in (32, 64, 128) and config.gc in (32, 64)
        return sizes and weight.dtype != torch.float32 and kernels.available(weight.device)

    def __call__(self, x: Tensor, stack_blocks: tuple[int, ...]) -> tuple[Tensor, list[Tensor]]:
        """What the trunk makes of ``(1, nf, h, w)``, and the outputs of the blocks asked for."""
        nf, gc = self.nf, self.gc
        shape = (1, nf + 4 * gc, *x.shape[2:])
        a, b, c = (
            torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=torch.channels_last) for _ in range(3)
        )
        a[:, :nf] = x
        outputs = []
        for i, dense_blocks in enumerate(self.blocks):
            for layers, source, target in zip(dense_blocks, (a, b, c), (b, c, a), strict=True):
                *grow, (weight, bias) = layers
                for k, layer in enumerate(grow):
                    kernels.dense_layer(source, *layer, source, at=nf + k * gc)
                # The third block ends in the input of the first, which is the outer residual.
                residuals = (source, a) if target is a else (source,)
                kernels.dense_layer(source, weight, bias, target, residuals=residuals)
            if i in stack_blocks:
                outputs.append(a[:, :nf].clone(memory_format=torch.channels_last))
        return a[:, :nf].contiguous(memory_format=torch.channels_last), outputs

    @staticmethod
    def _packed(convolutions: list[torch.nn.Conv2d]) -> list[tuple[Tensor, Tensor]]:
        return [(kernels.pack_last(conv.weight), _bias(conv)) for conv in convolutions]


def _dense_blocks(block: torch.nn.Module) -> list[list[torch.nn.Conv2d]]:
    if not isinstance(block, RRDB):
        raise ValueError(f"{type(block).__name__} is not an RRDB")
    return [[getattr(dense, f"conv{i}") for i in range(1, 6)] for dense in (block.RDB1, block.RDB2, block.RDB3)]


def _bias(conv: torch.nn.Conv2d) -> Tensor:
    if conv.bias is None:
        raise ValueError("a convolution of the trunk has no bias")
    return conv.bias.detach()
