"""The RRDB encoder: residual-in-residual dense blocks and the regression head they were trained with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from srspace.config import RRDBConfig
from srspace.models.enlarged import EnlargedConvolution

Trunk = Callable[[Tensor, tuple[int, ...]], tuple[Tensor, list[Tensor]]]


@dataclass(frozen=True)
class RRDBFeatures:
    """What the encoder knows of an LR image.

    Attributes:
        last: features after the trunk, ``(B, nf, h, w)``.
        stacked: outputs of the requested trunk blocks side by side, ``(B, n * nf, h, w)``.
        upsampled: features at 2x, 4x, ... after their activation (the published networks condition on these);
            only as many as were asked for.
    """

    last: Tensor
    stacked: Tensor
    upsampled: tuple[Tensor, ...]

    @property
    def joined(self) -> Tensor:
        """Features after the trunk and of the requested blocks side by side, ``(B, (1 + n) * nf, h, w)`` float32."""
        return torch.cat((self.last, self.stacked), 1).float()


class ResidualDenseBlock(nn.Module):
    """Five convolutions, each fed with the input and all earlier outputs (Wang et al., 2018).

    They may be in a shorter type than the input, to which a fifth of what they make is added.
    """

    def __init__(self, nf: int, gc: int) -> None:
        super().__init__()
        for i in range(4):
            setattr(self, f"conv{i + 1}", nn.Conv2d(nf + i * gc, gc, 3, padding=1))
        self.conv5 = nn.Conv2d(nf + 4 * gc, nf, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        features = x.to(self.conv5.weight.dtype)
        for i in range(4):
            conv = getattr(self, f"conv{i + 1}")
            features = torch.cat((features, F.leaky_relu(conv(features), 0.2, inplace=True)), 1)
        return torch.add(x, self.conv5(features), alpha=0.2)


class RRDB(nn.Module):
    """Three dense blocks inside a scaled residual."""

    def __init__(self, nf: int, gc: int) -> None:
        super().__init__()
        self.RDB1 = ResidualDenseBlock(nf, gc)
        self.RDB2 = ResidualDenseBlock(nf, gc)
        self.RDB3 = ResidualDenseBlock(nf, gc)

    def forward(self, x: Tensor) -> Tensor:
        return torch.add(x, self.RDB3(self.RDB2(self.RDB1(x))), alpha=0.2)


class RRDBNet(nn.Module):
    """RRDB network of ESRGAN (Wang et al., 2018) with the trunk skip of SRFlow (Lugmayr et al., 2020) on request.

    Parameter names are those of the published checkpoints.

    Args:
        config: sizes, scale and the kind of trunk skip.
    """

    def __init__(self, config: RRDBConfig) -> None:
        super().__init__()
        self.config = config
        nf = config.nf
        self.conv_first = nn.Conv2d(3, nf, 3, padding=1)
        self.RRDB_trunk = nn.ModuleList(RRDB(nf, config.gc) for _ in range(config.nb))
        self.trunk_conv = nn.Conv2d(nf, nf, 3, padding=1)
        self.doublings = config.scale.bit_length() - 1
        for i in range(self.doublings):
            setattr(self, f"upconv{i + 1}", nn.Conv2d(nf, nf, 3, padding=1))
        self.HRconv = nn.Conv2d(nf, nf, 3, padding=1)
        self.conv_last = nn.Conv2d(nf, 3, 3, padding=1)

    @property
    def dtype(self) -> torch.dtype:
        return self.conv_first.weight.dtype

    def encode(
        self, lr: Tensor, stack_blocks: tuple[int, ...] = (), doublings: int = 0, trunk: Trunk | None = None
    ) -> RRDBFeatures:
        """Features of ``lr``.

        Args:
            lr: ``(B, 3, h, w)`` in [0, 1].
            stack_blocks: trunk blocks (0-based) whose outputs are returned.
            doublings: how many upsampled maps to compute: 1 gives 2x, 2 gives 2x and 4x.
            trunk: a stand-in for this network's own trunk.

        Raises:
            ValueError: a block or a doubling is asked for that this network does not have.
        """
        if stack_blocks and max(stack_blocks) >= self.config.nb:
            raise ValueError(f"block {max(stack_blocks)} does not exist in a trunk of {self.config.nb} blocks")
        if doublings > self.doublings:
            raise ValueError(f"a {self.config.scale}x encoder has {self.doublings} doublings, not {doublings}")
        first = self.conv_first(lr.to(self.dtype))
        x, outputs = (trunk or self._trunk)(first, stack_blocks)
        last = self.trunk_conv(x) + (first if self.config.skip == "first" else x)
        stacked = torch.cat(outputs, 1) if outputs else x[:, :0]
        return RRDBFeatures(last, stacked, self._upsampled(last, (), doublings))

    def head(self, features: RRDBFeatures) -> Tensor:
        """The encoder's own super-resolution, ``(B, 3, scale * h, scale * w)`` float32, unclamped."""
        x = self._upsampled(features.last, features.upsampled, self.doublings)[-1]
        out: Tensor = self.conv_last(F.leaky_relu(self.HRconv(x), 0.2, inplace=True)).float()
        return out

    def forward(self, lr: Tensor) -> Tensor:
        """Super-resolve ``lr`` ``(B, 3, h, w)`` to ``(B, 3, scale * h, scale * w)``."""
        return self.head(self.encode(lr))

    def _trunk(self, x: Tensor, stack_blocks: tuple[int, ...]) -> tuple[Tensor, list[Tensor]]:
        outputs = []
        for i, block in enumerate(self.RRDB_trunk):
            x = block(x)
            if i in stack_blocks:
                outputs.append(x)
        return x, outputs

    def _upsampled(self, last: Tensor, known: tuple[Tensor, ...], doublings: int) -> tuple[Tensor, ...]:
        maps = list(known)
        for i in range(len(maps), doublings):
            enlarged = _doubled(maps[-1] if maps else last, getattr(self, f"upconv{i + 1}"))
            maps.append(F.leaky_relu(enlarged, 0.2, inplace=True))
        return tuple(maps)


def _doubled(x: Tensor, convolution: nn.Conv2d) -> Tensor:
    """The convolution of ``x`` enlarged twofold by nearest neighbour."""
    if EnlargedConvolution.pays(x.device, x.dtype) and not torch.is_grad_enabled():
        return EnlargedConvolution(convolution.weight, convolution.bias, x.dtype)(x)
    out: Tensor = convolution(F.interpolate(x, scale_factor=2, mode="nearest"))
    return out
