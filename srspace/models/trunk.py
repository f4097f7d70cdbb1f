"""The encoder's trunk on an NVIDIA GPU: dense blocks without concatenation, activation and addition passes."""

from __future__ import annotations

from collections.abc import Iterator

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
        nf = self.nf
        across = self._room(x.shape[2], x.shape[3])
        across[0][:, :nf] = x
        outputs = []
        for i in range(len(self.blocks)):
            for _ in self._block(i, across):
                pass
            if i in stack_blocks:
                outputs.append(across[0][:, :nf].clone(memory_format=torch.channels_last))
        return across[0][:, :nf].contiguous(memory_format=torch.channels_last), outputs

    def warm_up(self) -> Iterator[None]:
        """Run every kernel once; yields after each."""
        across = self._room(8, 8)
        for tensor in across:
            tensor.zero_()
        yield from self._block(0, across)

    def _room(self, height: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
        like = self.blocks[0][0][0][0]
        shape = (1, self.nf + 4 * self.gc, height, width)
        a, b, c = (
            torch.empty(shape, dtype=like.dtype, device=like.device, memory_format=torch.channels_last)
            for _ in range(3)
        )
        return a, b, c

    def _block(self, i: int, across: tuple[Tensor, Tensor, Tensor]) -> Iterator[None]:
        """Three dense blocks, from the first channels of the first tensor to the same; yields after each layer."""
        a, b, c = across
        for layers, source, target in zip(self.blocks[i], (a, b, c), (b, c, a), strict=True):
            *grow, (weight, bias) = layers
            for k, layer in enumerate(grow):
                kernels.dense_layer(source, *layer, source, at=self.nf + k * self.gc)
                yield
            # The third block ends in the input of the first, which is the outer residual.
            kernels.dense_layer(source, weight, bias, target, residuals=(source, a) if target is a else (source,))
            yield

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
