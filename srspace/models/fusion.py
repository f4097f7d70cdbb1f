"""Fusion networks: small ConvNets that merge candidates into one picture."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from srspace.config import FusionConfig
from srspace.errors import StackSizeError


class ResidualBlock(nn.Module):
    """conv, relu, conv inside a residual."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.conv2(torch.relu_(self.conv1(x)))
        return out.add_(x)


class Fusion(nn.Module):
    """What merges ``(B, N, 3, H, W)`` candidates in [0, 1] into ``(B, 3, H, W)``.

    Args:
        config: sizes.
    """

    def __init__(self, config: FusionConfig) -> None:
        super().__init__()
        self.config = config
        self.blocks = nn.Sequential(*(ResidualBlock(config.channels) for _ in range(config.blocks)))
        self.tail = nn.Conv2d(config.channels, 3, 3, padding=1)
        if config.residual:
            nn.init.zeros_(self.tail.weight)
            nn.init.zeros_(self.tail.bias)  # type: ignore[arg-type]

    @property
    def radius(self) -> int:
        """How many pixels away an input pixel can matter."""
        raise NotImplementedError

    def check(self, count: int) -> None:
        """Raise unless N candidates fill whole stacks, where the network takes stacks of a fixed size.

        Raises:
            StackSizeError: they do not.
        """
        if self.config.samples is not None and count % self.config.samples:
            raise StackSizeError(self.config.samples)

    def consistent(self, settings: Mapping[str, float]) -> bool:
        """Whether results are made to agree with the input where the user does not say: as far as it was measured.

        Args:
            settings: the mode's parameters.
        """
        return False

    def forward(self, candidates: Tensor) -> Tensor:
        """Merge candidates; the result is float32 and unclamped.

        Raises:
            ValueError: the stack is not one that this network takes.
        """
        raise NotImplementedError


class FusionNet(Fusion):
    """Stack of candidates, convolution, residual blocks, RGB (the paper's Fusion-L1 and Fusion-LPIPS).

    Args:
        config: sizes; ``residual`` adds the mean of the stack, so that training starts at the ensemble mean.
    """

    def __init__(self, config: FusionConfig) -> None:
        super().__init__(config)
        if config.samples is None:
            raise ValueError("a stack of candidates needs their number")
        self.head = nn.Conv2d(3 * config.samples, config.channels, 3, padding=1)

    @property
    def radius(self) -> int:
        return 2 + 2 * self.config.blocks

    def forward(self, candidates: Tensor) -> Tensor:
        if candidates.ndim != 5 or candidates.shape[1:3] != (self.config.samples, 3):
            raise ValueError(f"expected (B, {self.config.samples}, 3, H, W), not {tuple(candidates.shape)}")
        x = torch.relu_(self.head(candidates.flatten(1, 2).to(self.head.weight.dtype)))
        out: Tensor = self.tail(self.blocks(x)).float()
        return self.config.gain * out + candidates.mean(1).float() if self.config.residual else out


class SetFusionNet(Fusion):
    """Merges any number of candidates, in any order.

    Every candidate goes through the same small embedding of its deviation from the ensemble mean; embeddings are
    pooled by mean and standard deviation (Zaheer et al., 2017) and, by a softmax over candidates at every pixel,
    choose a blend of the candidates themselves, so that texture can come from one of them. A residual network
    corrects the sum of ensemble mean and blend.

    Args:
        config: sizes, with ``samples`` None.
    """

    def __init__(self, config: FusionConfig) -> None:
        super().__init__(config)
        if config.samples is not None or not config.residual:
            raise ValueError("a set of candidates has no fixed number, and its ensemble mean is always added")
        width = config.embedding
        self.embed = nn.Sequential(
            nn.Conv2d(6, width, 3, padding=1), nn.ReLU(inplace=True),
            nn.Conv2d(width, width, 3, padding=1), nn.ReLU(inplace=True),
        )  # fmt: skip
        self.score = nn.Conv2d(width, 1, 3, padding=1)
        self.head = nn.Conv2d(9 + 2 * width, config.channels, 3, padding=1)
        nn.init.zeros_(self.score.weight)
        nn.init.zeros_(self.score.bias)  # type: ignore[arg-type]

    @property
    def radius(self) -> int:
        return 5 + 2 * self.config.blocks

    def forward(self, candidates: Tensor) -> Tensor:
        if candidates.ndim != 5 or candidates.shape[1] < 1 or candidates.shape[2] != 3:
            raise ValueError(f"expected (B, N, 3, H, W), not {tuple(candidates.shape)}")
        candidates = candidates.float()
        mean = candidates.mean(1)
        deviations = candidates - mean[:, None]
        count = candidates.shape[1]
        if torch.is_grad_enabled():
            embeddings, scores = self._embed(deviations, mean)
            pooled = _mean_and_deviation(embeddings.sum(1), embeddings.square().sum(1), count)
        else:
            # One candidate at a time: memory does not grow with their number.
            embedding, scores = self._embed(deviations[:, :1], mean)
            total, squares = embedding[:, 0], embedding[:, 0].square()
            for i in range(1, count):
                embedding, score = self._embed(deviations[:, i : i + 1], mean)
                total, squares = total + embedding[:, 0], squares + embedding[:, 0].square()
                scores = torch.cat((scores, score), 1)
            pooled = _mean_and_deviation(total, squares, count)
        blend = (scores.softmax(1) * deviations).sum(1)
        spread = deviations.square().mean(1).add(1e-8).sqrt()
        x = torch.cat([part.to(self.head.weight.dtype) for part in (mean, blend, spread, pooled)], 1)
        out: Tensor = self.tail(self.blocks(torch.relu_(self.head(x)))).float()
        return mean + self.config.gain * (blend + out)

    def _embed(self, deviations: Tensor, mean: Tensor) -> tuple[Tensor, Tensor]:
        batch, count = deviations.shape[:2]
        dtype = self.head.weight.dtype
        inputs = torch.cat((deviations.to(dtype), mean.to(dtype)[:, None].expand_as(deviations)), 2).flatten(0, 1)
        embeddings = self.embed(inputs)
        scores = self.score(embeddings).float().unflatten(0, (batch, count))
        return embeddings.float().unflatten(0, (batch, count)), scores


def _mean_and_deviation(total: Tensor, squares: Tensor, count: int) -> Tensor:
    mean = total / count
    variance = squares / count - mean.square()
    return torch.cat((mean, (variance.clamp_min(0) + 1e-6).sqrt()), 1)
