"""What candidates add to the loss of a flow: likelihood looks at originals alone, never at what the flow draws."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from srspace.config import TrainConfig
from srspace.errors import UsageError
from srspace.metrics import Lpips
from srspace.models.flow import ConditionalFlow, FlowConditions
from srspace.training.perceptual import SMALLEST, inner, perceptual_loss

# A candidate that leaves it is about to explode; clipped highlights overshoot by less.
_SOUND = (-0.3, 1.3)


@dataclass(frozen=True)
class CandidateLoss:
    """LPIPS of candidates (as in HCFlow, Liang et al., 2021), and the squared error of their mean.

    LPIPS alone draws the candidates of an image together, where their mean is no better than they are. Two independent
    candidates of a patch give the squared error of the mean of infinitely many without bias, as the product of their
    errors: a term that says nothing about how far they lie apart.

    Attributes:
        critics: LPIPS backbones; their distances are averaged.
        weight: of the distance beside an nll in bits per pixel.
        mean_weight: of the squared error (of values in [0, 1]).
        temperatures: each patch uses one of them at random.
    """

    critics: tuple[Lpips, ...]
    weight: float
    mean_weight: float = 0.0
    temperatures: tuple[float, ...] = (0.9,)

    def __call__(self, flow: ConditionalFlow, conditions: FlowConditions, hr: Tensor) -> Tensor:
        """The weighted sum, from two candidates of every other patch.

        Args:
            flow: the flow; gradients reach it through its inverse.
            conditions: of the patches.
            hr: ``(B, 3, H, W)`` in [0, 1], B at least 2.
        """
        device, half = hr.device, hr.shape[0] // 2
        # Every other one: a mixed pool puts the kinds of its pictures one after the other.
        twice = torch.arange(0, 2 * half, 2, device=device).repeat(2)
        conditions, hr = conditions.select(twice), hr[twice]
        choices = torch.stack([hr.new_full((), tau) for tau in self.temperatures])
        tau = choices[torch.randint(len(choices), (half, 1, 1, 1), device=device)].repeat(2, 1, 1, 1)
        latents = [tau * torch.randn(len(hr), *s, device=device) for s in flow.latent_shapes(*hr.shape[2:])]
        # Not under no_grad, where the flow keeps inverses of its weights that a CUDA graph cannot follow.
        sound = in_range(flow.inverse(latents, conditions).detach(), *_SOUND)
        # The gradient of a candidate that explodes would drown all others. At temperature 0 it has a harmless one,
        # which then does not count either.
        sr = flow.inverse([torch.where(sound, z, 0) for z in latents], conditions)
        sr = torch.where(sound, sr.nan_to_num(0.5).clamp(0, 1), hr)
        with torch.autocast(device.type, enabled=False):
            sr, hr = inner(sr), inner(hr)
            loss = self.weight * perceptual_loss(sr, hr, self.critics)
            if self.mean_weight:
                one, other = (sr - hr).chunk(2)
                loss = loss + self.mean_weight * (one * other).mean()
        return loss

    def score(self, figures: Mapping[str, float]) -> float:
        """The same of validation figures."""
        distances = [figures[f"val_{critic.net}_sample"] for critic in self.critics]
        error: float = 10 ** (-figures["val_psnr_mean"] / 10)
        return self.weight * sum(distances) / len(distances) + self.mean_weight * error


def check_batches(config: TrainConfig) -> None:
    """Raise unless batches of these settings suffice for :class:`CandidateLoss`.

    Raises:
        UsageError: the patches are too small for LPIPS, or there is only one in a batch.
    """
    if config.batch_size < 2 or config.patch < SMALLEST:
        raise UsageError(f"LPIPS of candidates needs patches of at least {SMALLEST} pixels, and two in a batch.")


def in_range(images: Tensor, low: float, high: float) -> Tensor:
    """Which of ``(B, 3, H, W)`` lie between two values everywhere, with nothing infinite or NaN: ``(B, 1, 1, 1)``."""
    return ((images >= low) & (images <= high)).flatten(1).all(1).view(-1, 1, 1, 1)
