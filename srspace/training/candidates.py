"""Drawing candidates while training: without gradients from a frozen flow, and with gradients from the one in training.

Neither way waits for the device, unless it is told to draw broken candidates again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from srspace.models import PreparedSRFlow, SRFlow
from srspace.models.flow import ConditionalFlow, FlowConditions
from srspace.sampling.defects import LADDER, SOUND, USABLE


@dataclass(frozen=True)
class Drawn:
    """What a frozen flow knows of a batch of LR images.

    Attributes:
        candidates: ``(B, N, 3, H, W)`` float32 in [0, 1].
        regression: the encoder's own super-resolution, ``(B, 3, H, W)`` float32 in [0, 1].
        features: see :attr:`srspace.models.RRDBFeatures.joined`, ``(B, F, h, w)`` float32.
    """

    candidates: Tensor
    regression: Tensor
    features: Tensor


class CandidateSource:
    """A frozen flow, prepared for drawing candidates of many images at a time.

    Args:
        flow: on its device; it is left as it is, and later changes of its weights do not reach the source.
        dtype: of the flow's subnets (None: the type that they have).
    """

    def __init__(self, flow: SRFlow, dtype: torch.dtype | None = None) -> None:
        self.model = PreparedSRFlow(flow, dtype)
        self.scale = flow.scale

    @torch.no_grad()
    def draw(
        self,
        lr: Tensor,
        samples: int,
        temperatures: Sequence[float],
        *,
        antithetic: bool = False,
        redraw: bool = False,
    ) -> Drawn:
        """Draw N candidates of each image; a broken one is replaced with the encoder's own output.

        Args:
            lr: ``(B, 3, h, w)`` in [0, 1].
            samples: N.
            temperatures: each image uses one of them at random.
            antithetic: every second candidate is made of the negated latents of the one before.
            redraw: first draw broken candidates again at lower temperatures, as the sampler does. That waits for the
                device, so a CUDA graph cannot hold it.
        """
        with torch.autocast(lr.device.type, enabled=False):
            config = self.model.config
            # Not the model's own way, which asks the device whether float16 was wide enough.
            features = self.model.encoder.encode(lr, config.stack_blocks, config.levels - 1)
            conditions = self.model.conditions(features)
            regression = self.model.regression(features).clamp(0, 1)
            shapes = self.model.latent_shapes(*regression.shape[2:])
            tau = _choices(temperatures, len(lr), lr.device)

            def decode(tau: Tensor, negated: list[Tensor] | None = None) -> tuple[Tensor, list[Tensor]]:
                latents = negated or [tau * torch.randn(len(lr), *shape, device=lr.device) for shape in shapes]
                return self.model.decode(latents, conditions), [-z for z in latents]

            images, mirrored = [], None
            for i in range(samples):
                image, mirror = decode(tau, mirrored)
                images.append(image)
                mirrored = mirror if antithetic and i % 2 == 0 else None
            good = [USABLE.holds(image) for image in images]
            if redraw and not torch.stack(good).all():
                for factor in LADDER[1:]:
                    for i in range(samples):
                        image, _ = decode(factor * tau)
                        images[i] = torch.where(good[i], images[i], image)
                        good[i] = USABLE.holds(images[i])
            settled = [
                torch.where(fine, image, regression).clamp(0, 1) for fine, image in zip(good, images, strict=True)
            ]
            return Drawn(torch.stack(settled, 1), regression, features.joined)


def draw_pairs(
    flow: ConditionalFlow, conditions: FlowConditions, hr: Tensor, temperatures: Sequence[float]
) -> tuple[Tensor, Tensor, Tensor]:
    """Two independent candidates of every other patch of a batch, with gradients through the flow's inverse.

    A candidate that is about to explode becomes its original: it counts nowhere and has no gradient.

    Args:
        flow: in training.
        conditions: of the patches.
        hr: the patches, ``(B, 3, H, W)`` in [0, 1], B at least 2.
        temperatures: each patch uses one of them at random.

    Returns:
        One candidate, the other, and the originals, each ``(B // 2, 3, H, W)``, in [0, 1].
    """
    device, half = hr.device, hr.shape[0] // 2
    # Every other one: a mixed pool puts the kinds of its pictures one after the other.
    twice = torch.arange(0, 2 * half, 2, device=device).repeat(2)
    conditions, hr = conditions.select(twice), hr[twice]
    tau = _choices(temperatures, half, device).repeat(2, 1, 1, 1)
    latents = [tau * torch.randn(len(hr), *shape, device=device) for shape in flow.latent_shapes(*hr.shape[2:])]
    # Some versions of torch would find again, with gradients on, the weights that autocast has cast here without.
    mixed = torch.is_autocast_enabled(device.type)
    with torch.no_grad(), torch.autocast(device.type, torch.bfloat16, enabled=mixed, cache_enabled=False):
        sound = SOUND.holds(flow.inverse(latents, conditions))
    # The gradient of a candidate that explodes would drown all others. At temperature 0 it has a harmless one, which
    # then does not count either.
    sr = flow.inverse([torch.where(sound, z, 0) for z in latents], conditions)
    sr = torch.where(sound, sr.nan_to_num(0.5).clamp(0, 1), hr)
    one, other = sr.chunk(2)
    return one, other, hr[:half]


def _choices(temperatures: Sequence[float], count: int, device: torch.device) -> Tensor:
    """One of the temperatures for each of ``count`` images, ``(count, 1, 1, 1)``."""
    choices = torch.stack([torch.full((), tau, device=device) for tau in temperatures])
    return choices[torch.randint(len(choices), (count, 1, 1, 1), device=device)]
